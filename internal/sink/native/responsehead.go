package native

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// responseHead is the part of a status line and header that determines the framing.
type responseHead struct {
	status           int
	minor            byte  // minor version digit of HTTP/1.0 or HTTP/1.1
	length           int64 // of the body; -1 if absent
	chunked          bool
	close, keepAlive bool
}

func (h responseHead) keepsConnection() bool {
	ends := !h.chunked && h.length < 0 && h.status != http.StatusNoContent && h.status != http.StatusNotModified
	return !ends && !h.close && (h.minor == '1' || h.keepAlive)
}

// readHead reads a status line and a header, and stores the header lines.
func (r *responseReader) readHead() (responseHead, error) {
	r.lineBytes, r.fields = 0, r.fields[:0]
	line, err := r.readLine()
	if err != nil {
		return responseHead{}, err
	}
	head, err := parseStatusLine(line)
	if err != nil {
		return responseHead{}, err
	}
	if err := r.readFields(); err != nil {
		return responseHead{}, err
	}
	for line := range bytes.Lines(r.fields) {
		name, value, err := http1.CutField(line[:len(line)-1])
		if err != nil {
			return responseHead{}, &errMalformed{err.Error()}
		}
		if err := head.setField(name, value); err != nil {
			return responseHead{}, err
		}
	}
	return head, head.validate()
}

// readFields stores the header lines. A line that continues the one before it is appended to that
// (RFC 9112 section 5.2).
func (r *responseReader) readFields() error {
	for {
		line, err := r.readLine()
		switch {
		case err != nil || len(line) == 0:
			return err
		case !isFolded(line):
		case len(r.fields) == 0:
			return &errMalformed{"blanks before the first field"}
		default:
			r.fields = r.fields[:len(r.fields)-1]
		}
		r.fields = append(append(r.fields, line...), '\n')
	}
}

// isFolded reports whether a line continues the one before it.
func isFolded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

// readLine returns the next line without its CRLF, valid until the next read.
func (r *responseReader) readLine() ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF
	case err != nil && err != bufio.ErrBufferFull:
		return nil, err
	}
	if r.lineBytes += len(line); err != nil || r.lineBytes > maxHeaderBytes {
		return nil, &errMalformed{"the header is too long"}
	}
	line, terminated := bytes.CutSuffix(line, []byte("\r\n"))
	if !terminated {
		return nil, &errMalformed{"a line does not end in CRLF"}
	}
	return line, nil
}

func parseStatusLine(line []byte) (responseHead, error) {
	const version = "HTTP/1."
	digits := len(version) + 2 // offset of the status
	if len(line) < digits+3 || string(line[:len(version)]) != version || line[digits-1] != ' ' ||
		len(line) > digits+3 && line[digits+3] != ' ' {
		return responseHead{}, &errMalformed{"the status line must be HTTP/1.1 and a status of three digits"}
	}
	minor := line[len(version)]
	if minor != '0' && minor != '1' {
		return responseHead{}, &errMalformed{"the version must be HTTP/1.0 or HTTP/1.1"}
	}
	status, ok := parseDecimal(line[digits : digits+3])
	if !ok || status < 100 || status > 599 || status == http.StatusSwitchingProtocols || !http1.IsText(line) {
		return responseHead{}, &errMalformed{"unexpected status, or a control character in the reason"}
	}
	return responseHead{status: status, minor: minor, length: -1}, nil
}

// setField applies a field that affects the framing or the connection.
func (h *responseHead) setField(name, value []byte) error {
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		return h.setLength(value)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if h.chunked || h.minor == '0' || !bytes.EqualFold(value, []byte("chunked")) {
			return &errMalformed{"the Transfer-Encoding must be chunked, once, in HTTP/1.1"}
		}
		h.chunked = true
	case bytes.EqualFold(name, []byte("Connection")):
		for option := range bytes.SplitSeq(value, []byte(",")) {
			option = bytes.Trim(option, " \t")
			h.close = h.close || bytes.EqualFold(option, []byte("close"))
			h.keepAlive = h.keepAlive || bytes.EqualFold(option, []byte("keep-alive"))
		}
	}
	return nil
}

// setLength accepts a repeated Content-Length with the same value, but the connection is
// not reused then.
func (h *responseHead) setLength(value []byte) error {
	length, err := http1.ParseLength(value)
	if err != nil || length == math.MaxInt64 || h.length >= 0 && length != h.length {
		return &errMalformed{"the Content-Length must be one number"}
	}
	h.close = h.close || h.length >= 0
	h.length = length
	return nil
}

func (h *responseHead) validate() error {
	switch {
	case h.chunked && h.length >= 0:
		return &errMalformed{"both Transfer-Encoding and Content-Length"}
	case h.status < http.StatusOK && (h.chunked || h.length > 0):
		return &errMalformed{"an interim response has a body"}
	}
	return nil
}
