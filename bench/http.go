//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// message is an HTTP/1.1 request or response. The framing is a Content-Length, or chunks, as long
// responses to _bulk have.
type message struct {
	start []byte // the first line
	kind  []byte // Content-Type
	body  []byte
	size  int  // of the whole message
	last  bool // Connection: close
}

var (
	headEnd = []byte("\r\n\r\n")
	lineEnd = []byte("\r\n")
)

// parseMessage parses the message at the start of b; ok is false while the
// message is incomplete, of which only the size is returned, or 0 while it is
// unknown. The parts alias b, but a body in chunks.
func parseMessage(b []byte) (m message, ok bool, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return message{}, false, nil
	}
	var length int
	var chunks bool
	head := b[:end]
	m.start, head, _ = bytes.Cut(head, lineEnd)
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, lineEnd)
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case isHeader(name, "content-length"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return message{}, false, fmt.Errorf("header line %q: %w", line, err)
			}
		case isHeader(name, "content-type"):
			m.kind = bytes.TrimSpace(value)
		case isHeader(name, "connection"):
			m.last = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case isHeader(name, "transfer-encoding"):
			if chunks = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked")); !chunks {
				return message{}, false, fmt.Errorf("header line %q: only chunked is understood", line)
			}
		}
	}
	if chunks {
		return m.parseChunks(b, end+len(headEnd))
	}
	m.size = end + len(headEnd) + length
	if len(b) < m.size {
		return message{size: m.size}, false, nil
	}
	m.body = b[end+len(headEnd) : m.size]
	return m, true, nil
}

// parseChunks parses the body of a message in chunks from an offset on.
func (m message) parseChunks(b []byte, at int) (_ message, ok bool, err error) {
	for {
		line, _, found := bytes.Cut(b[at:], lineEnd)
		if !found {
			return message{}, false, nil
		}
		size, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil || size < 0 {
			return message{}, false, fmt.Errorf("chunk of length %q: it must be a hexadecimal number", line)
		}
		at += len(line) + len(lineEnd)
		end := at + int(size)
		if len(b) < end+len(lineEnd) {
			return message{}, false, nil
		}
		m.body = append(m.body, b[at:end]...)
		if at = end + len(lineEnd); size == 0 {
			m.size = at
			return m, true, nil
		}
	}
}

// isHeader compares without regard to case; small is in lower case.
func isHeader(name []byte, small string) bool {
	return len(name) == len(small) && bytes.EqualFold(name, []byte(small))
}

// status returns the status of a response, or 0.
func (m message) status() int {
	if len(m.start) < 12 {
		return 0
	}
	status, err := strconv.Atoi(string(m.start[9:12]))
	if err != nil {
		return 0
	}
	return status
}
