package otlp

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	grpcencoding "google.golang.org/grpc/encoding"
)

// gRPC has one table of compressors, which is to be filled before any call.
func init() {
	grpcencoding.RegisterCompressor(&compressor{
		name:   "gzip",
		writer: func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) },
		reader: func(r io.Reader) (resettable, error) { return gzip.NewReader(r) },
	})
	grpcencoding.RegisterCompressor(&compressor{
		name:   "zstd",
		writer: func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) },
		reader: func(r io.Reader) (resettable, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		},
	})
	grpcencoding.RegisterCompressor(&compressor{
		name:   "snappy",
		writer: func(w io.Writer) (io.WriteCloser, error) { return snappy.NewBufferedWriter(w), nil },
		reader: func(r io.Reader) (resettable, error) { return framed{snappy.NewReader(r)}, nil },
	})
	grpcencoding.RegisterCompressor(&compressor{
		name:   "deflate",
		writer: func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil },
		reader: func(r io.Reader) (resettable, error) {
			z, err := zlib.NewReader(r)
			return deflated{z}, err
		},
	})
}

// zstdWindow is what RFC 8878 asks decoders to support, in bytes.
const zstdWindow = 8 << 20

// resettable is a decompressor that can be used again.
type resettable interface {
	io.Reader
	Reset(source io.Reader) error
}

// framed and deflated have the usual Reset.
type (
	framed   struct{ *snappy.Reader }
	deflated struct{ io.ReadCloser }
)

// Reset implements resettable.
func (f framed) Reset(source io.Reader) error {
	f.Reader.Reset(source)
	return nil
}

// Reset implements resettable.
func (d deflated) Reset(source io.Reader) error {
	return d.ReadCloser.(zlib.Resetter).Reset(source, nil)
}

// compressor implements encoding.Compressor. It may be used concurrently.
type compressor struct {
	name    string
	writer  func(io.Writer) (io.WriteCloser, error)
	reader  func(io.Reader) (resettable, error)
	readers sync.Pool // of resettable
}

// Name implements encoding.Compressor.
func (c *compressor) Name() string { return c.name }

// Compress implements encoding.Compressor: answers are small and rare.
func (c *compressor) Compress(w io.Writer) (io.WriteCloser, error) { return c.writer(w) }

// Decompress implements encoding.Compressor.
func (c *compressor) Decompress(r io.Reader) (io.Reader, error) {
	reader, _ := c.readers.Get().(resettable)
	var err error
	if reader == nil {
		reader, err = c.reader(r)
	} else {
		err = reader.Reset(r)
	}
	if err != nil {
		return nil, err
	}
	return &pooled{reader, c}, nil
}

// pooled gives its reader back when gRPC closes it.
type pooled struct {
	resettable
	compressor *compressor
}

// Close implements io.Closer.
func (p *pooled) Close() error {
	p.compressor.readers.Put(p.resettable)
	return nil
}
