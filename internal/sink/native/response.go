package native

import (
	"bufio"
	"bytes"
	"net/http"
)

const (
	maxBodyBytes    = 1 << 20  // of a body that is kept
	maxHeaderBytes  = 16 << 10 // of a response
	maxInterimBytes = 64 << 10 // of the interim responses before the final one
	maxPooledBytes  = 64 << 10 // of a buffer kept between two responses
)

// response is a response as it was read. It is valid until the next one is read.
type response struct {
	status int
	body   []byte
	// fields holds the header lines; nil if none of them matters.
	fields []byte
	// close means that the connection cannot be reused.
	close bool
}

// field returns the value of a header field, joined with commas if it has several lines,
// and empty if it is absent.
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

// responseReader reads the responses of one connection. A response that violates RFC 9112
// is errMalformed: one that could be read in two ways is rejected.
type responseReader struct {
	*bufio.Reader
	fields    []byte
	body      []byte
	truncated bool // body was cut at maxBodyBytes
	lineBytes int  // total size of the lines read, bounded by maxHeaderBytes
}

func newResponseReader() *responseReader {
	return &responseReader{Reader: bufio.NewReaderSize(nil, maxHeaderBytes)}
}

// errMalformed is the error of a response that is not well-formed.
type errMalformed struct{ what string }

func (e *errMalformed) Error() string { return "the response is malformed: " + e.what }

// read reads the final response, of which at least a byte is buffered.
func (r *responseReader) read() (response, error) {
	buffered, _ := r.Peek(r.Buffered())
	if resp, size := parseFast(buffered); size > 0 {
		_, _ = r.Discard(size)
		return resp, nil
	}
	return r.readFinal()
}

// readFinal reads any final response.
func (r *responseReader) readFinal() (response, error) {
	for interim := 0; interim <= maxInterimBytes; interim += r.lineBytes {
		head, err := r.readHead()
		if err != nil {
			return response{}, err
		}
		if head.status >= http.StatusOK {
			return r.readRemainder(head)
		}
	}
	return response{}, &errMalformed{"the interim responses are too long"}
}

// readRemainder reads what follows the header of a final response.
func (r *responseReader) readRemainder(head responseHead) (response, error) {
	resp := response{status: head.status, fields: r.fields, close: !head.keepsConnection()}
	if head.status == http.StatusNoContent || head.status == http.StatusNotModified {
		resp.close = resp.close || head.chunked || head.length > 0 // a body may follow nevertheless
		return resp, nil
	}
	if err := r.readBody(head); err != nil {
		return response{}, err
	}
	switch {
	case r.truncated && head.status == http.StatusMultiStatus:
		return response{}, &errMalformed{"the list of a 207 is too long"}
	case r.truncated && !isSuccess(head.status):
		resp.close = true // the rest of the body was not read
	}
	resp.body = r.body
	return resp, nil
}

// parseFast is the fast path for nearly all responses to packets: a 2xx in HTTP/1.1 that is
// completely buffered, with a Content-Length and no other field that matters. It returns
// the size of the response; 0 means that the slow path is needed.
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

// cutLine cuts the first line off b, without its CRLF. It reports false unless all
// characters of the line are printable ASCII.
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

// parseDecimal parses one to five digits.
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
