package upstream

import (
	"bufio"
	"bytes"
	"net/http"
)

const (
	maxBodyBytes        = 1 << 20  // of a body that is kept
	maxHeaderBytes      = 16 << 10 // of an answer
	maxInterimResponses = 16       // answers before the final one
	maxPooledBytes      = 64 << 10 // of a buffer between two answers
)

// response is an analyzer's answer as it was read. It is valid until the next
// one is read.
type response struct {
	status int
	body   []byte
	// fields holds the header's lines; nil when nothing in it matters.
	fields []byte
	// last: no other answer follows on the connection.
	close bool
}

// field returns a header field's value: of several lines a list, empty when
// there is none.
func (r response) field(name string) string {
	value := ""
	for line := range bytes.Lines(r.fields) {
		key, one, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(key, []byte(name)) {
			continue
		}
		if value != "" {
			value += ","
		}
		value += string(bytes.TrimSpace(one))
	}
	return value
}

// responseReader reads the answers of one connection, one at a time. What is not
// well-formed as RFC 9112 says is errMalformed: an answer that could be read in two
// ways is none.
type responseReader struct {
	*bufio.Reader
	fields    []byte
	body      []byte
	truncated bool // body lacks what was over largestAnswerBytes
	lineBytes int  // bytes of lines read, which are bounded
}

func newResponseReader() *responseReader {
	return &responseReader{Reader: bufio.NewReaderSize(nil, maxHeaderBytes)}
}

// errMalformed is an answer that is not well-formed.
type errMalformed struct{ what string }

func (e *errMalformed) Error() string { return "the answer is not well-formed: " + e.what }

// read reads the final answer, of which a part has arrived.
func (r *responseReader) read() (response, error) {
	buffered, _ := r.Peek(r.Buffered())
	if resp, size := parseFast(buffered); size > 0 {
		_, _ = r.Discard(size)
		return resp, nil
	}
	return r.readFinal()
}

// readWhole reads any final answer.
func (r *responseReader) readFinal() (response, error) {
	for range maxInterimResponses + 1 {
		head, err := r.readHead()
		if err != nil {
			return response{}, err
		}
		if head.status >= http.StatusOK {
			return r.readRemainder(head)
		}
	}
	return response{}, &errMalformed{"too many interim answers"}
}

// readAnswer reads what follows a final answer's header.
func (r *responseReader) readRemainder(head responseHead) (response, error) {
	resp := response{status: head.status, fields: r.fields, close: !head.keepsConnection()}
	if head.status == http.StatusNoContent || head.status == http.StatusNotModified {
		resp.close = resp.close || head.chunked || head.length > 0 // a body may come all the same
		return resp, nil
	}
	if err := r.readBody(head); err != nil {
		return response{}, err
	}
	switch {
	case r.truncated && head.status == http.StatusMultiStatus:
		return response{}, &errMalformed{"the list of a 207 is too long"}
	case r.truncated && !isSuccess(head.status):
		resp.close = true // the rest was not read
	}
	resp.body = r.body
	return resp, nil
}

// usualResponse reads what nearly all answers to packets are: "taken", in
// HTTP/1.1, with a body of a given length, that has arrived as a whole, and
// with no header field that could matter. It returns its size as well; 0 means
// that it is anything else.
func parseFast(b []byte) (r response, size int) {
	const start = "HTTP/1.1 2"
	line, rest, ok := cutLine(b)
	if !ok || len(line) <= len(start)+2 || string(line[:len(start)]) != start || line[len(start)+2] != ' ' {
		return response{}, 0
	}
	status, ok := parseDecimal(line[len(start)-1 : len(start)+2])
	if !ok || status == http.StatusNoContent || status == http.StatusMultiStatus {
		return response{}, 0
	}
	length := -1
	for {
		if line, rest, ok = cutLine(rest); !ok {
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
			if length, ok = parseDecimal(bytes.TrimPrefix(value, []byte(" "))); !ok {
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
func cutLine(b []byte) (line, rest []byte, ok bool) {
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
func parseDecimal(digits []byte) (n int, ok bool) {
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
