package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"logstreamer/internal/problem"
)

// bodyReader reads requests' bodies into pooled buffers, never more than the
// limit. It may be used concurrently.
type bodyReader struct {
	most int
	// reading is how many bytes of bodies are being read or looked at: memory
	// that the journal does not know of yet.
	reading atomic.Int64

	buffers sync.Pool // of *body
	gzips   sync.Pool // of *gzip.Reader
	zstds   sync.Pool // of *zstd.Decoder
}

// body is a body in a pooled buffer; whoever got it calls release.
type body struct {
	bytes []byte
}

// keptBuffer is the largest buffer that is kept for another request.
const keptBuffer = 1 << 20

func newBodyReader(most int) bodyReader { return bodyReader{most: most} }

// readExactly fills dst with a body of exactly that length.
func (r *bodyReader) readExactly(ctx *fasthttp.RequestCtx, dst []byte) ([]byte, *problem.Problem) {
	r.reading.Add(int64(len(dst)))
	defer r.reading.Add(-int64(len(dst)))
	if len(dst) == 0 {
		return dst, nil
	}
	if _, err := io.ReadFull(ctx.RequestBodyStream(), dst); err != nil {
		return dst[:0], unreadable(err)
	}
	return dst, nil
}

// read reads and decompresses a body of any length up to the limit.
func (r *bodyReader) read(ctx *fasthttp.RequestCtx) (*body, *problem.Problem) {
	if length := ctx.Request.Header.ContentLength(); length > r.most {
		return nil, r.tooLarge()
	}
	stream, done, fault := r.decoder(ctx)
	if fault != nil {
		return nil, fault
	}
	defer done()
	b, _ := r.buffers.Get().(*body)
	if b == nil {
		b = &body{}
	}
	fault = r.fill(b, stream)
	if fault != nil {
		r.release(b)
		return nil, fault
	}
	return b, nil
}

// fill reads a stream to its end and counts what it holds as it grows.
func (r *bodyReader) fill(b *body, stream io.Reader) *problem.Problem {
	buffer := bytes.NewBuffer(b.bytes[:0])
	for {
		n, err := io.CopyN(buffer, stream, 64<<10)
		r.reading.Add(n)
		b.bytes = buffer.Bytes()
		switch {
		case len(b.bytes) > r.most:
			return r.tooLarge()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreadable(err)
		}
	}
}

// release gives a body's buffer back.
func (r *bodyReader) release(b *body) {
	r.reading.Add(-int64(len(b.bytes)))
	b.bytes = b.bytes[:0]
	if cap(b.bytes) <= keptBuffer {
		r.buffers.Put(b)
	}
}

// decoder returns the decompressed body; done gives the decoder back.
func (r *bodyReader) decoder(ctx *fasthttp.RequestCtx) (stream io.Reader, done func(), fault *problem.Problem) {
	stream = ctx.RequestBodyStream()
	if stream == nil {
		stream = bytes.NewReader(nil)
	}
	switch encoding := strings.ToLower(string(ctx.Request.Header.ContentEncoding())); encoding {
	case "", "identity":
		return stream, func() {}, nil
	case "gzip", "x-gzip":
		return r.gzip(stream)
	case "zstd":
		return r.zstd(stream)
	default:
		return nil, nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("Content-Encoding %q: gzip, zstd and none are understood", encoding),
		}
	}
}

func (r *bodyReader) gzip(stream io.Reader) (io.Reader, func(), *problem.Problem) {
	decoder, _ := r.gzips.Get().(*gzip.Reader)
	if decoder == nil {
		decoder = new(gzip.Reader)
	}
	if err := decoder.Reset(stream); err != nil {
		return nil, nil, unreadable(err)
	}
	return decoder, func() { r.gzips.Put(decoder) }, nil
}

func (r *bodyReader) zstd(stream io.Reader) (io.Reader, func(), *problem.Problem) {
	decoder, _ := r.zstds.Get().(*zstd.Decoder)
	var err error
	if decoder == nil {
		// One goroutine, and no more memory than the body may have.
		decoder, err = zstd.NewReader(stream, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(max(r.most, 1<<20))))
	} else {
		err = decoder.Reset(stream)
	}
	if err != nil {
		return nil, nil, unreadable(err)
	}
	return decoder, func() {
		_ = decoder.Reset(nil) // let go of the connection
		r.zstds.Put(decoder)
	}, nil
}

func (r *bodyReader) tooLarge() *problem.Problem {
	return &problem.Problem{
		Code:   problem.TooLarge,
		Detail: fmt.Sprintf("the body is larger than %d bytes (decompressed)", r.most),
	}
}

// unreadable tells why a body could not be read.
func unreadable(err error) *problem.Problem {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem.Problem{Code: problem.SlowRequest, Detail: "the body did not arrive in time"}
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &problem.Problem{Code: problem.TooLarge, Detail: "the body is too large when decompressed"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &problem.Problem{Code: problem.Malformed, Detail: "the body ends before it is complete"}
	default:
		return &problem.Problem{Code: problem.Malformed, Detail: "the body cannot be read: " + err.Error()}
	}
}
