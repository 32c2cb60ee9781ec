package analyzer

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/gunzip"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// maxZstdWindow is the window size that every zstd decoder should support (RFC
// 8878).
const maxZstdWindow = 8 << 20

var errTooLarge = errors.New("too large")

// decompressor decodes request bodies of up to maxBytes.
type decompressor struct {
	maxBytes int
	plain    []byte
	gzip     gunzip.Reader
	zstd     *zstd.Decoder // created on first use; has no goroutine, so needs no Close
}

// decode returns the request's body without its content encoding, or the problem. The body is valid
// until the next call, and not after the request.
func (d *decompressor) decode(ctx *fasthttp.RequestCtx) ([]byte, *problem.Problem) {
	body := ctx.Request.Body()
	var err error
	switch encoding := bytes.TrimSpace(ctx.Request.Header.ContentEncoding()); {
	case len(encoding) == 0 || bytes.EqualFold(encoding, []byte("identity")):
		return body, nil
	case bytes.EqualFold(encoding, []byte("gzip")):
		body, err = d.fromGzip(body)
	case bytes.EqualFold(encoding, []byte("zstd")):
		body, err = d.fromZstd(body)
	default:
		ctx.Response.Header.Set(fasthttp.HeaderAcceptEncoding, "gzip, zstd")
		return nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: "the Content-Encoding must be gzip, zstd or identity",
		}
	}
	return body, d.problemOf(err)
}

func (d *decompressor) problemOf(err error) *problem.Problem {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooLarge), errors.Is(err, zstd.ErrWindowSizeExceeded):
		p := tooLarge(d.maxBytes)
		return &p
	default:
		return &problem.Problem{Code: problem.Malformed, Detail: "the body cannot be decompressed: " + err.Error()}
	}
}

func (d *decompressor) fromGzip(body []byte) ([]byte, error) {
	d.gzip.Reset(bytes.NewReader(body))
	return d.readAll(&d.gzip)
}

func (d *decompressor) fromZstd(body []byte) ([]byte, error) {
	if d.zstd == nil {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(uint64(max(d.maxBytes, maxZstdWindow))))
		if err != nil {
			return nil, err
		}
		d.zstd = decoder
	}
	if err := d.zstd.Reset(bytes.NewReader(body)); err != nil {
		return nil, err
	}
	return d.readAll(d.zstd)
}

// readAll reads to the end, but at most one byte beyond the limit.
func (d *decompressor) readAll(r io.Reader) ([]byte, error) {
	plain := d.plain[:0]
	for {
		plain = slices.Grow(plain, 512)
		free := plain[len(plain):min(cap(plain), d.maxBytes+1)]
		n, err := r.Read(free)
		plain = plain[:len(plain)+n]
		d.plain = plain
		switch {
		case err == io.EOF:
			return plain, nil
		case err != nil:
			return nil, err
		case len(plain) > d.maxBytes:
			return nil, errTooLarge
		}
	}
}
