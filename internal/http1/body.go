package http1

import (
	"errors"
	"io"
)

// Body is a request's body, without the framing of chunks. Read returns io.EOF at
// its end only, io.ErrUnexpectedEOF when the source ends before, and a *Fault when
// the framing is wrong. It returns no bytes and no error when a chunk has begun of which none
// has arrived, so that its reader can refuse one that is too large.
type Body struct {
	reader  *Reader
	left    int64 // bytes of the body, or of the chunk
	chunked bool
	within  bool // a chunk has begun
	ended   bool // all chunks were read
	// overhead is what the lines between chunks have beyond what is free, in bytes.
	overhead int64
	err      error
}

// Ended reports whether the body was read to its end, so that the next request
// may be.
func (b *Body) Ended() bool { return b.err == nil && b.left == 0 && (b.ended || !b.chunked) }

// Left returns how many bytes are still to be read, -1 when that is not known or the
// body cannot be read to its end.
func (b *Body) Left() int64 {
	if b.err != nil || b.chunked && !b.ended {
		return -1
	}
	return b.left
}

// Announced returns how many bytes follow at least: the rest of the body, or of the chunk.
func (b *Body) Announced() int64 { return b.left }

// Read reads a part of the body.
func (b *Body) Read(dst []byte) (int, error) {
	begins := b.err == nil && b.left == 0 && b.chunked && !b.ended
	if begins {
		b.err = b.nextChunk()
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case len(dst) == 0, begins && b.reader.Received() == 0:
		return 0, nil
	}
	n, err := b.reader.read(dst[:min(int64(len(dst)), b.left)])
	b.left -= int64(n)
	if n == 0 {
		b.err = err
	}
	return n, b.err
}

// read reads what was received, or else from the source.
func (r *Reader) read(dst []byte) (int, error) {
	if r.begin < r.end {
		n := copy(dst, r.buffer[r.begin:r.end])
		r.begin += n
		return n, nil
	}
	n, err := r.source.Read(dst)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// nextChunk reads the end of a chunk and the size of the next.
func (b *Body) nextChunk() error {
	if b.within {
		if err := b.reader.skipLineEnd(); err != nil {
			return err
		}
	}
	line, err := b.reader.line(hexByte)
	if err != nil {
		return err
	}
	if b.left, err = ParseChunkSize(line); err != nil {
		return err
	}
	b.within, b.ended = true, b.left == 0
	if b.ended {
		return b.reader.skipTrailer()
	}
	// Lines of up to 16 bytes, and up to twice the size of their chunks, are free.
	b.overhead = max(0, b.overhead+int64(len(line))-freeLineBytes-2*b.left)
	if b.overhead > maxChunkOverhead {
		return malformed("the lines between chunks are far larger than the chunks")
	}
	return nil
}

const (
	freeLineBytes = 16
	// maxChunkOverhead bounds what the lines between a body's chunks may have beyond
	// what is free, in bytes, so that a small body cannot cost a large one's reading.
	maxChunkOverhead = 16 << 10
)

// skipTrailer reads the fields behind the last chunk, which mean nothing here.
func (r *Reader) skipTrailer() error {
	for size := 0; ; {
		line, err := r.line(tokenByte)
		if err != nil || len(line) == 0 {
			return err
		}
		if _, _, err := CutField(line); err != nil {
			return err
		}
		if size += len(line) + 2; size > r.limit {
			return malformed("the trailer is larger than %d bytes", r.limit)
		}
	}
}
