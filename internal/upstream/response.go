package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/valyala/fasthttp"
)

const (
	largestAnswerBytes = 1 << 20
	largestHeaderBytes = 16 << 10 // of an answer
)

// response is an analyzer's answer as it was read. It is valid until the next
// one is read.
type response struct {
	status int
	body   []byte
	// header is nil when nothing in it matters.
	header *fasthttp.ResponseHeader
	// last: no other answer follows on the connection.
	last bool
}

// field returns a header field's value, empty when there is none.
func (r response) field(name string) string {
	if r.header == nil {
		return ""
	}
	return string(r.header.Peek(name))
}

// responseReader reads the answers of one connection, one at a time.
type responseReader struct {
	*bufio.Reader
	whole fasthttp.Response
}

func newResponseReader() *responseReader {
	return &responseReader{Reader: bufio.NewReaderSize(nil, largestHeaderBytes)}
}

// read reads the final answer, of which a part has arrived.
func (r *responseReader) read() (response, error) {
	arrived, _ := r.Peek(r.Buffered())
	if usual, size := usualResponse(arrived); size > 0 {
		_, _ = r.Discard(size)
		return usual, nil
	}
	for {
		r.whole.Reset()
		err := r.whole.ReadLimitBody(r.Reader, largestAnswerBytes)
		status := r.whole.StatusCode()
		switch {
		case errors.Is(err, fasthttp.ErrBodyTooLarge) && status != http.StatusMultiStatus:
			return response{status: status, header: &r.whole.Header, last: true}, nil
		case errors.Is(err, io.EOF):
			return response{}, io.ErrUnexpectedEOF
		case err != nil:
			return response{}, err
		case status >= http.StatusOK:
			return response{status, r.whole.Body(), &r.whole.Header, r.whole.ConnectionClose()}, nil
		}
	}
}

// usualResponse reads what nearly all answers to packets are: "taken", in
// HTTP/1.1, with a body of a given length, that has arrived as a whole, and
// with no header field that could matter. It returns its size as well; 0 means
// that it is anything else.
func usualResponse(b []byte) (r response, size int) {
	const start = "HTTP/1.1 2"
	line, rest, ok := cutHeaderLine(b)
	if !ok || len(line) <= len(start)+2 || string(line[:len(start)]) != start || line[len(start)+2] != ' ' {
		return response{}, 0
	}
	status, ok := decimal(line[len(start)-1 : len(start)+2])
	if !ok || status == http.StatusNoContent || status == http.StatusMultiStatus {
		return response{}, 0
	}
	length := -1
	for {
		if line, rest, ok = cutHeaderLine(rest); !ok {
			return response{}, 0
		}
		if len(line) == 0 {
			break
		}
		name, value, colon := bytes.Cut(line, []byte(":"))
		switch {
		case !colon:
			return response{}, 0
		case bytes.EqualFold(name, []byte("Content-Length")) && length < 0:
			if length, ok = decimal(bytes.TrimPrefix(value, []byte(" "))); !ok {
				return response{}, 0
			}
		case bytes.EqualFold(name, []byte("Content-Type")), bytes.EqualFold(name, []byte("Date")), bytes.EqualFold(name, []byte("Server")):
		default:
			return response{}, 0
		}
	}
	if length < 0 || length > len(rest) {
		return response{}, 0
	}
	return response{status: status, body: rest[:length]}, len(b) - len(rest) + length
}

// cutHeaderLine returns the first line without its end, unless there is anything
// but printable characters in it.
func cutHeaderLine(b []byte) (line, rest []byte, ok bool) {
	for i, c := range b {
		if c >= ' ' && c < 0x7f {
			continue
		}
		if c != '\r' || i+1 == len(b) || b[i+1] != '\n' {
			break
		}
		return b[:i], b[i+2:], true
	}
	return nil, nil, false
}

// decimal reads up to five digits.
func decimal(digits []byte) (n int, ok bool) {
	if len(digits) < 1 || len(digits) > 5 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}
