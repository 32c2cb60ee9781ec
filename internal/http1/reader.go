package http1

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Reader reads requests from a connection, one after the other: Await, ReadHead, then
// the body to its end, then the next. It must not be used concurrently.
type Reader struct {
	source io.Reader
	limit  int // bytes of a head
	// buffer[begin:end] was received and not yet read.
	buffer     []byte
	begin, end int
	// buffer[:kept] is the head of the current request, which is not overwritten.
	kept int
	body Body
}

// NewReader returns a Reader of a source, of which the bytes received were read
// before. Heads have at most limit bytes; the Reader holds as many, or as many as
// were received.
func NewReader(source io.Reader, limit int, received []byte) *Reader {
	r := &Reader{source: source, limit: limit, buffer: make([]byte, max(limit, len(received)))}
	r.end = copy(r.buffer, received)
	return r
}

// Await waits for the first byte of a request. The error is the source's: io.EOF
// when there is no other request.
func (r *Reader) Await() error {
	r.kept = 0
	if r.begin < r.end {
		return nil
	}
	return r.receive()
}

// ReadHead reads a head, which is valid until the next call of Await or ReadHead. The error is a
// *Fault, the source's, io.ErrUnexpectedEOF when the source ends within it, or io.EOF
// when nothing but empty lines comes before the source ends.
func (r *Reader) ReadHead() (Head, error) {
	r.kept = 0
	for {
		head, err := Parse(r.buffer[r.begin:r.end], r.limit)
		switch {
		case err == nil:
			r.begin += head.Size
			r.kept = r.begin
			r.body = Body{reader: r, left: max(head.Length, 0), chunked: head.Chunked}
			return head, nil
		case err != ErrIncomplete:
			return head, err
		}
		if err := r.receive(); err != nil {
			if errors.Is(err, io.EOF) && len(trimEmptyLines(r.buffer[r.begin:r.end])) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return head, err
		}
	}
}

// more receives at least a byte. An end of the source is unexpected.
func (r *Reader) more() error {
	err := r.receive()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// receive receives at least a byte, for which the buffer has capacity once what was
// read of it is dropped.
func (r *Reader) receive() error {
	if r.begin == r.end || r.end == len(r.buffer) {
		r.compact()
	}
	for {
		n, err := r.source.Read(r.buffer[r.end:])
		r.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// compact drops what was read, the current head aside: one of more than half of the buffer keeps
// the buffer to itself.
func (r *Reader) compact() {
	unread := r.buffer[r.begin:r.end]
	if r.kept > len(r.buffer)/2 || len(unread) == len(r.buffer)-r.kept {
		r.buffer, r.kept = make([]byte, len(r.buffer)), 0
	}
	r.begin = r.kept
	r.end = r.begin + copy(r.buffer[r.begin:], unread)
}

// Body returns the body of the request whose head was read last.
func (r *Reader) Body() *Body { return &r.body }

// Received returns how many bytes behind the head, or behind what was read of the
// body, are here already.
func (r *Reader) Received() int { return r.end - r.begin }

// skipLineEnd reads the end of a chunk.
func (r *Reader) skipLineEnd() error {
	const lineEnd = "\r\n"
	for {
		switch text := string(r.buffer[r.begin:min(r.begin+len(lineEnd), r.end)]); {
		case text == lineEnd:
			r.begin += len(lineEnd)
			return nil
		case !strings.HasPrefix(lineEnd, text):
			return malformed("a chunk is longer than its announced size")
		}
		if err := r.more(); err != nil {
			return err
		}
	}
}

// line returns the next line without its end. One that is not empty begins with a byte of a class: what is no
// chunk may have no line end, and its client may wait for the response.
func (r *Reader) line(first byteClass) ([]byte, error) {
	for {
		text := r.buffer[r.begin:r.end]
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			if end == 0 || text[end-1] != '\r' {
				return nil, malformed("a line between chunks ends in LF without CR")
			}
			r.begin += end + 1
			return text[:end-1], nil
		}
		switch {
		case len(text) > 0 && text[0] != '\r' && classes[text[0]]&first == 0:
			return nil, malformed("a line between chunks must begin with the size of one, or with a field's name behind the last one, not with %q", text[:1])
		case len(text) == len(r.buffer):
			return nil, malformed("a line between chunks is larger than %d bytes", len(r.buffer))
		}
		if err := r.more(); err != nil {
			return nil, err
		}
	}
}
