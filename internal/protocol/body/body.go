// Package body reads and decodes the bodies of HTTP requests into packets' buffers, for
// all protocols over HTTP.
package body

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// Reader reads bodies into buffers that grow as the bytes arrive: a length that a client only
// announces takes no memory. It may be used concurrently.
type Reader struct {
	codings  Codings
	maxBytes atomic.Int64 // of a body, decoded
	memory   *intake.Memory
	// uploads bounds what each client holds with bodies that have not arrived whole.
	uploads *clientquota.Quota

	gzips    sync.Pool // of *gunzip.Reader
	deflates sync.Pool // of zlib readers
	snappies sync.Pool // of *snappy.Reader
	// zstds has one decoder for each processor, since each may hold a whole window. Decoders are
	// lent for bodies that have arrived, so no request waits for a client.
	zstds chan *zstd.Decoder
}

const (
	firstBuffer = 64 << 10 // bytes that a decoded body gets at first
	zstdWindow  = 8 << 20  // bytes, the largest that RFC 9659 allows
)

// NewReader returns a Reader of bodies with these codings, of up to maxBytes, decoded.
func NewReader(codings Codings, maxBytes int, memory *intake.Memory) (*Reader, error) {
	r := &Reader{codings: codings, memory: memory, uploads: clientquota.New(memory.Limit(), 1)}
	r.Configure(maxBytes)
	r.zstds = make(chan *zstd.Decoder, runtime.GOMAXPROCS(0))
	for range cap(r.zstds) {
		// With a concurrency of 1 a decoder starts no goroutine.
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		r.zstds <- decoder
	}
	return r, nil
}

// Configure changes the maximum size of later bodies, and follows the limit of the memory.
func (r *Reader) Configure(maxBytes int) {
	r.maxBytes.Store(int64(maxBytes))
	r.uploads.SetCapacity(r.memory.Limit())
}

// Read reads and decodes the body of a request that CheckLength did not refuse. The
// caller owns the packet, of which only Body is set.
func (r *Reader) Read(request *server.Request) (*packet.Packet, *problem.Problem) {
	decode, fault := r.decoder(request.Head)
	if fault != nil {
		return nil, fault
	}
	u := r.Upload(request.Client, int(request.Length()))
	u.announced = request.Announced
	body, fault := u.receive(request.Body)
	if fault != nil || decode == nil {
		return body, fault
	}
	defer r.memory.Drop(body)
	return decode(body.Body)
}

// ReadMessage reads a message of a client that stream begins with, of a length that CheckLength did
// not refuse, and decodes it unless coding is empty. The caller owns the packet, of which only
// Body is set.
func (r *Reader) ReadMessage(client netip.Addr, stream io.Reader, length int, coding string) (*packet.Packet, *problem.Problem) {
	u := r.Upload(client, length)
	body, fault := u.receive(io.LimitReader(stream, int64(length)))
	switch {
	case fault != nil:
		return nil, fault
	case len(body.Body) < length:
		r.memory.Drop(body)
		return nil, Unreadable(io.ErrUnexpectedEOF)
	case coding == "":
		return body, nil
	}
	defer r.memory.Drop(body)
	return r.Decode(coding, body.Body)
}

// CheckLength returns the refusal of a request whose announced body is too large, or
// nil.
func (r *Reader) CheckLength(length int64) *problem.Problem {
	if length > r.maxBytes.Load() {
		return r.tooLarge()
	}
	return nil
}

// MaxBytes returns the current maximum size of a body, decoded.
func (r *Reader) MaxBytes() int { return int(r.maxBytes.Load()) }

// inflate decodes a body that has arrived into a buffer of minSize bytes at
// first.
func (r *Reader) inflate(decoder io.Reader, encoded []byte, minSize int) (*packet.Packet, *problem.Problem) {
	u := Upload{reader: r, length: -1, minSize: minSize, otherBytes: packet.FootprintOf(len(encoded))}
	return u.receive(decoder)
}

// Unavailable returns the refusal of a request for a reason of the intake.
func Unavailable(reason intake.Reason) *problem.Problem {
	return &problem.Problem{Code: problem.Code(reason), Detail: reason.Detail()}
}

func (r *Reader) tooLarge() *problem.Problem {
	return &problem.Problem{
		Code:   problem.TooLarge,
		Detail: fmt.Sprintf("the body is larger than %d bytes (decompressed)", r.maxBytes.Load()),
	}
}

// Unreadable returns the refusal of a request whose body cannot be read.
func Unreadable(err error) *problem.Problem {
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
