package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// bodyReader reads requests' bodies into packets' buffers, which grow as the
// bytes arrive: what a client only announces costs nothing. All of them together
// hold no more than the journal has room for. It may be used concurrently.
type bodyReader struct {
	most    int   // bytes of a body, decompressed
	memory  int64 // bytes that all bodies together may hold
	journal interface{ Room(bytes int) error }
	pool    *packet.Pool
	// reading is how many bytes of memory requests hold that the journal does
	// not know of yet.
	reading atomic.Int64

	gzips sync.Pool // of *gzip.Reader
	// zstds are one for each processor, since each may hold a whole window.
	// They are lent for bodies that are here, so nobody waits for a client.
	zstds chan *zstd.Decoder
}

const (
	firstBuffer = 64 << 10 // bytes that a large body gets before they have arrived
	zstdWindow  = 8 << 20  // bytes, what RFC 8878 asks decoders to support
)

func newBodyReader(config Config, journal interface{ Room(bytes int) error }, pool *packet.Pool) (*bodyReader, error) {
	r := &bodyReader{most: config.MaxBodyBytes, memory: config.MemoryBytes, journal: journal, pool: pool}
	r.zstds = make(chan *zstd.Decoder, runtime.GOMAXPROCS(0))
	for range cap(r.zstds) {
		// With a concurrency of 1 a decoder starts no goroutine.
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		r.zstds <- decoder
	}
	return r, nil
}

// read reads and decompresses the body. The caller owns the packet, of which
// only Body is set, and frees its footprint when the journal has it or drops it.
func (r *bodyReader) read(ctx *fasthttp.RequestCtx) (*packet.Packet, *problem.Problem) {
	decode, fault := r.decoder(ctx.Request.Header.ContentEncoding())
	if fault != nil {
		return nil, fault
	}
	body, fault := r.fill(ctx.RequestBodyStream(), ctx.Request.Header.ContentLength())
	if fault != nil {
		return nil, fault
	}
	if isCut(ctx) {
		r.drop(body)
		return nil, unreadable(io.ErrUnexpectedEOF)
	}
	_ = ctx.Request.CloseBodyStream() // tells leaveBody that nothing is left
	if decode == nil {
		return body, nil
	}
	defer r.drop(body)
	return decode(body.Body)
}

// fill reads that many bytes, or to the stream's end when length is negative.
func (r *bodyReader) fill(stream io.Reader, length int) (*packet.Packet, *problem.Problem) {
	size := firstBuffer
	if 0 <= length && length <= 2*firstBuffer { // would be copied for one step more
		size = length
	}
	body, fault := r.lend(size)
	if fault != nil {
		return nil, fault
	}
	for len(body.Body) != length {
		if fault = r.grow(&body, length); fault != nil {
			break
		}
		n, err := stream.Read(body.Body[len(body.Body):cap(body.Body)])
		body.Body = body.Body[:len(body.Body)+n]
		if len(body.Body) > r.most {
			fault = r.tooLarge()
			break
		}
		if length < 0 && errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil && len(body.Body) != length {
			fault = unreadable(err)
			break
		}
	}
	if fault != nil {
		r.drop(body)
		return nil, fault
	}
	return body, nil
}

// lend returns a buffer of at least that many bytes.
func (r *bodyReader) lend(size int) (*packet.Packet, *problem.Problem) {
	if code := r.reserve(packet.FootprintOf(size)); code != "" {
		return nil, notNow(code)
	}
	return r.pool.Lend(size), nil
}

// grow replaces a full buffer by a larger one: of twice its size, or, where the
// length is announced, of that, but at most of eight times its size. So little is
// copied, and who wants to hold memory must have sent an eighth of it.
func (r *bodyReader) grow(body **packet.Packet, length int) *problem.Problem {
	full := *body
	if len(full.Body) < cap(full.Body) {
		return nil
	}
	size := 2 * cap(full.Body)
	if length > 0 {
		size = min(length, 8*cap(full.Body))
	}
	larger, fault := r.lend(size)
	if fault != nil {
		return fault
	}
	larger.Body = append(larger.Body, full.Body...)
	r.drop(full)
	*body = larger
	return nil
}

// fit returns the body in a buffer of its size: one that was read without
// knowing its length would hold far more until the packet is delivered.
func (r *bodyReader) fit(body *packet.Packet) *packet.Packet {
	if packet.FootprintOf(len(body.Body)) >= body.Footprint() {
		return body
	}
	smaller := r.pool.Lend(len(body.Body))
	smaller.Body = append(smaller.Body, body.Body...)
	r.reading.Add(smaller.Footprint())
	r.drop(body)
	return smaller
}

// drop gives a buffer back.
func (r *bodyReader) drop(body *packet.Packet) {
	r.free(body.Footprint())
	body.Release()
}

// reserve takes memory for a request, or tells why there is none now.
func (r *bodyReader) reserve(bytes int64) problem.Code {
	held := r.reading.Add(bytes)
	if held > r.memory {
		r.free(bytes)
		return problem.Overloaded
	}
	if err := r.journal.Room(int(held)); err != nil {
		r.free(bytes)
		return codeOf(err)
	}
	return ""
}

// free ends a reservation.
func (r *bodyReader) free(bytes int64) { r.reading.Add(-bytes) }

type decodeFunc func(encoded []byte) (*packet.Packet, *problem.Problem)

// decoder returns what undoes the encoding, or nil when there is nothing to undo.
func (r *bodyReader) decoder(encoding []byte) (decodeFunc, *problem.Problem) {
	switch strings.ToLower(string(encoding)) {
	case "", "identity":
		return nil, nil
	case "gzip", "x-gzip":
		return r.decodeGzip, nil
	case "zstd":
		return r.decodeZstd, nil
	default:
		return nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("Content-Encoding %q: gzip, zstd and none are understood", encoding),
		}
	}
}

func (r *bodyReader) decodeGzip(encoded []byte) (*packet.Packet, *problem.Problem) {
	decoder, _ := r.gzips.Get().(*gzip.Reader)
	if decoder == nil {
		decoder = new(gzip.Reader)
	}
	defer r.gzips.Put(decoder)
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, unreadable(err)
	}
	return r.fill(decoder, -1)
}

func (r *bodyReader) decodeZstd(encoded []byte) (*packet.Packet, *problem.Problem) {
	decoder := <-r.zstds
	defer func() { r.zstds <- decoder }()
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, unreadable(err)
	}
	return r.fill(decoder, -1)
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
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("zstd with a window of at most %d bytes is understood", zstdWindow),
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &problem.Problem{Code: problem.Malformed, Detail: "the body ends before it is complete"}
	default:
		return &problem.Problem{Code: problem.Malformed, Detail: "the body cannot be read: " + err.Error()}
	}
}
