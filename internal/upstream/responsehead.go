package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
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
	for {
		if line, err = r.readLine(); err != nil {
			return responseHead{}, err
		}
		if len(line) == 0 {
			return head, head.validate()
		}
		name, value, err := cutField(line)
		if err != nil {
			return responseHead{}, err
		}
		if err := head.setField(name, value); err != nil {
			return responseHead{}, err
		}
		r.fields = append(append(r.fields, line...), '\n')
	}
}

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
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, &errMalformed{"a line has a control character"}
		}
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
	if !ok || status < 100 || status > 599 || status == http.StatusSwitchingProtocols {
		return responseHead{}, &errMalformed{"unexpected status"}
	}
	return responseHead{status: status, minor: minor, length: -1}, nil
}

// cutField splits a field line into name and value.
func cutField(line []byte) (name, value []byte, err error) {
	name, value, colon := bytes.Cut(line, []byte(":"))
	if !colon || len(name) == 0 {
		return nil, nil, &errMalformed{"a header line is not a field"}
	}
	for _, c := range name {
		if !isTokenByte[c] {
			return nil, nil, &errMalformed{"a field name has an invalid character"}
		}
	}
	return name, bytes.Trim(value, " \t"), nil
}

// isTokenByte is the set of the characters of a token (RFC 9110).
var isTokenByte = func() (is [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~" {
		is[c] = true
	}
	return is
}()

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
	length, ok := parseLength(value)
	if !ok || h.length >= 0 && length != h.length {
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

func parseLength(digits []byte) (int64, bool) {
	const maxDigits = 18 // prevents an overflow
	if len(digits) < 1 || len(digits) > maxDigits {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}
