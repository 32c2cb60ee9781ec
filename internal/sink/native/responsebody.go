package native

import (
	"io"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// readBody reads the body and keeps its first maxBodyBytes. The rest is read only if drain is
// set: a packet is delivered once a 2xx response is complete.
func (r *responseReader) readBody(head responseHead) error {
	if cap(r.body) > maxPooledBytes {
		r.body = nil
	}
	r.body, r.truncated = r.body[:0], false
	drain := isSuccess(head.status) && head.status != http.StatusMultiStatus
	switch {
	case head.chunked:
		return r.readChunks(drain)
	case head.length > maxBodyBytes && !drain:
		r.truncated = true
		return nil
	case head.length >= 0:
		_, err := r.readPart(head.length, drain)
		return err
	default:
		return r.readUntilClose(drain)
	}
}

// readPart reads the next n bytes of the body. more is false if it stopped at maxBodyBytes.
func (r *responseReader) readPart(n int64, drain bool) (more bool, err error) {
	for n > 0 {
		size := int(min(n, int64(max(1, r.Buffered()))))
		buffered, err := r.Peek(size)
		if err == io.EOF {
			return false, io.ErrUnexpectedEOF
		}
		if err != nil {
			return false, err
		}
		if !r.appendBody(buffered) && !drain {
			return false, nil
		}
		n -= int64(len(buffered))
		_, _ = r.Discard(len(buffered))
	}
	return true, nil
}

// appendBody appends a part up to maxBodyBytes and reports whether all of it fit.
func (r *responseReader) appendBody(part []byte) bool {
	if capacity := maxBodyBytes - len(r.body); len(part) > capacity {
		part, r.truncated = part[:capacity], true
	}
	r.body = append(r.body, part...)
	return !r.truncated
}

// readUntilClose reads a body that ends with the connection.
func (r *responseReader) readUntilClose(drain bool) error {
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if more, err := r.readPart(int64(r.Buffered()), drain); !more {
			return err
		}
	}
}

// readChunks reads a chunked body and discards its trailer.
func (r *responseReader) readChunks(drain bool) error {
	for {
		r.lineBytes = 0
		line, err := r.readLine()
		if err != nil {
			return err
		}
		size, err := http1.ParseChunkSize(line)
		if err != nil {
			return &errMalformed{err.Error()}
		}
		if size == 0 {
			return r.readTrailer()
		}
		if more, err := r.readPart(size, drain); !more {
			return err
		}
		if line, err = r.readLine(); err != nil {
			return err
		}
		if len(line) > 0 {
			return &errMalformed{"a chunk is longer than its size"}
		}
	}
}

func (r *responseReader) readTrailer() error {
	for within := false; ; within = true {
		line, err := r.readLine()
		if err != nil || len(line) == 0 {
			return err
		}
		if within && isFolded(line) && http1.IsText(line) {
			continue
		}
		if _, _, err := http1.CutField(line); err != nil {
			return &errMalformed{err.Error()}
		}
	}
}
