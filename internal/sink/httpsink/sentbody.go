package httpsink

import (
	"errors"
	"io"
	"net"
	"sync"
)

// sentBody is the body of a request. A transport may still read it after it returned a
// response, and reads it again over another connection if the one that it kept was closed.
// It is safe for concurrent use.
type sentBody struct {
	mu    sync.Mutex // guards ended, and text while it is read
	text  []byte
	ended bool
}

// errEnded ends a request that is not yet written completely when it has a response.
var errEnded = errors.New("the request is over")

// end makes all reads fail from now on, so that the text can be overwritten. It waits for a
// write, which the transport interrupts when a request is over before it is written.
func (b *sentBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

func (b *sentBody) reader() io.ReadCloser { return &bodyReader{body: b} }

// bodyReader reads a sentBody once.
type bodyReader struct {
	body *sentBody
	at   int
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	switch {
	case r.body.ended:
		return 0, errEnded
	case r.at == len(r.body.text):
		return 0, io.EOF
	}
	n := copy(p, r.body.text[r.at:])
	r.at += n
	return n, nil
}

// writeTo writes at most limit bytes without a copy.
func (r *bodyReader) writeTo(w io.Writer, limit int64) (int64, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.ended {
		return 0, errEnded
	}
	rest := r.body.text[r.at:]
	n, err := w.Write(rest[:min(int64(len(rest)), limit)])
	r.at += n
	return int64(n), err
}

// bodyConn is a connection that writes the bodies of requests without a copy.
type bodyConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom, by which net/http writes bodies.
func (c bodyConn) ReadFrom(from io.Reader) (int64, error) {
	if limited, ok := from.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*bodyReader); ok {
			n, err := body.writeTo(c.Conn, limited.N)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, from)
}

// Close implements io.Closer.
func (r *bodyReader) Close() error { return nil }
