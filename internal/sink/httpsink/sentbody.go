package httpsink

import (
	"errors"
	"io"
	"sync"
)

// sentBody is the body of a request. A transport may still read it after it returned a
// response, and reads it anew over another connection if the one that it kept was closed.
// It is safe for concurrent use.
type sentBody struct {
	mu    sync.Mutex // guards ended, and text while it is read
	text  []byte
	ended bool
}

// errEnded ends a request that is not yet written completely when it has a response.
var errEnded = errors.New("the request is over")

// end makes all reads fail from now on, so that the text can be overwritten.
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

// Close implements io.Closer.
func (r *bodyReader) Close() error { return nil }
