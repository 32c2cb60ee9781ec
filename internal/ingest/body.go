package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// bodyReader reads requests' bodies into packets' buffers, which grow as the
// bytes arrive: what a client only announces takes no memory. All of them together
// hold no more than the journal has capacity for. It may be used concurrently.
type bodyReader struct {
	most    int   // bytes of a body, decompressed
	memory  int64 // bytes that all bodies together may hold
	journal interface{ CheckCapacity(bytes int) error }
	pool    *packet.Pool
	// reading is how many bytes of memory requests hold that the journal does
	// not know of yet.
	reading atomic.Int64
	// uploads bounds what each client holds of it with bodies that are not here as
	// a whole.
	uploads *clientQuota

	gzips sync.Pool // of *gzip.Reader
	// zstds are one for each processor, since each may hold a whole window.
	// They are lent for bodies that are here, so nobody waits for a client.
	zstds chan *zstd.Decoder
}

const (
	firstBuffer = 64 << 10 // bytes that a decompressed body gets at first
	zstdWindow  = 8 << 20  // bytes, what RFC 8878 asks decoders to support
)

func newBodyReader(config Config, journal interface{ CheckCapacity(bytes int) error }, pool *packet.Pool) (*bodyReader, error) {
	r := &bodyReader{most: config.MaxBodyBytes, memory: config.MemoryBytes, journal: journal, pool: pool, uploads: newClientQuota(config.MemoryBytes, 1)}
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

// read reads and decompresses the body of a request. The caller owns the packet, of
// which only Body is set, and frees its footprint when the journal has it or drops
// it.
func (r *bodyReader) read(request *Request) (*packet.Packet, *problem.Problem) {
	decode, fault := r.decoder(request.head)
	if fault != nil {
		return nil, fault
	}
	u := upload{bodies: r, quota: r.uploads, client: request.client, length: request.length(), least: uploadStart}
	body, fault := u.receive(request.body)
	if fault != nil || decode == nil {
		return body, fault
	}
	defer r.drop(body)
	return decode(body.Body)
}

// inflate reads what a decoder makes of a body that is here.
func (r *bodyReader) inflate(decoder io.Reader) (*packet.Packet, *problem.Problem) {
	u := upload{bodies: r, length: -1, least: firstBuffer}
	return u.receive(decoder)
}

// lend returns a buffer of at least that many bytes.
func (r *bodyReader) lend(size int) (*packet.Packet, *problem.Problem) {
	if code := r.reserve(packet.FootprintOf(size)); code != "" {
		return nil, notNow(code)
	}
	return r.pool.Get(size), nil
}

// fit returns the body in a buffer of its size: one that was read without
// knowing its length would hold far more until the packet is delivered.
func (r *bodyReader) fit(body *packet.Packet) *packet.Packet {
	if packet.FootprintOf(len(body.Body)) >= body.Footprint() {
		return body
	}
	smaller := r.pool.Get(len(body.Body))
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
	r.reading.Add(bytes)
	code := r.capacity(0)
	if code != "" {
		r.free(bytes)
	}
	return code
}

// capacity tells why there is no memory for that many bytes more, or nothing.
func (r *bodyReader) capacity(bytes int64) problem.Code {
	held := r.reading.Load() + bytes
	if held > r.memory {
		return problem.Overloaded
	}
	if err := r.journal.CheckCapacity(int(held)); err != nil {
		return codeOf(err)
	}
	return ""
}

// free ends a reservation.
func (r *bodyReader) free(bytes int64) { r.reading.Add(-bytes) }

type decodeFunc func(encoded []byte) (*packet.Packet, *problem.Problem)

// decoder returns what undoes the encoding, or nil when there is nothing to undo. All
// fields are one list.
func (r *bodyReader) decoder(head *http1.Head) (decode decodeFunc, fault *problem.Problem) {
	if !head.Encoded {
		return nil, nil
	}
	for coding := range head.Values("content-encoding") {
		if http1.Is(coding, "identity") {
			continue
		}
		if decode != nil {
			return nil, &problem.Problem{Code: problem.UnsupportedEncoding, Detail: "Content-Encoding lists several codings: one is understood"}
		}
		switch {
		case http1.Is(coding, "gzip"), http1.Is(coding, "x-gzip"):
			decode = r.decodeGzip
		case http1.Is(coding, "zstd"):
			decode = r.decodeZstd
		default:
			return nil, &problem.Problem{
				Code:   problem.UnsupportedEncoding,
				Detail: fmt.Sprintf("Content-Encoding %.40q: gzip, zstd and none are understood", coding),
			}
		}
	}
	return decode, nil
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
	return r.inflate(decoder)
}

func (r *bodyReader) decodeZstd(encoded []byte) (*packet.Packet, *problem.Problem) {
	if hasLargeWindow(encoded) {
		return nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("zstd with a window of at most %d bytes is understood", zstdWindow),
		}
	}
	decoder := <-r.zstds
	defer func() { r.zstds <- decoder }()
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, unreadable(err)
	}
	return r.inflate(decoder)
}

func (r *bodyReader) tooLarge() *problem.Problem {
	return &problem.Problem{
		Code:   problem.TooLarge,
		Detail: fmt.Sprintf("the body is larger than %d bytes (decompressed)", r.most),
	}
}

// unreadable tells why a body could not be read.
func unreadable(err error) *problem.Problem {
	var fault *http1.Fault
	switch {
	case errors.As(err, &fault):
		return &problem.Problem{Code: problem.Malformed, Status: fault.Status, Detail: fault.Detail}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem.Problem{Code: problem.SlowRequest, Detail: "the body did not arrive in time"}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &problem.Problem{Code: problem.Malformed, Detail: "the body ends before it is complete"}
	default:
		return &problem.Problem{Code: problem.Malformed, Detail: "the body cannot be read: " + err.Error()}
	}
}
