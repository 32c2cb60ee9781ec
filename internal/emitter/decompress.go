package emitter

import (
	"bufio"
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/gunzip"
)

// decompressor returns a reader of the decompressed content.
type decompressor func(io.Reader) (io.Reader, error)

func newBzip2Reader(from io.Reader) (io.Reader, error) { return bzip2.NewReader(from), nil }

func newGzipReader(from io.Reader) (io.Reader, error) {
	r := new(gunzip.Reader)
	r.Reset(bufio.NewReader(from))
	return r, nil
}

// maxZstdWindow is the window size of zstd --long.
const maxZstdWindow = 128 << 20

func newZstdReader(from io.Reader) (io.Reader, error) {
	// A decoder with concurrency 1 has no goroutines and need not be closed.
	return zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
}

// decompressedReader names the file and the format in read errors.
type decompressedReader struct {
	name, format string
	from         io.Reader
}

func (u decompressedReader) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	return n, u.explain(err)
}

// explain adds the file and the format to an error other than io.EOF.
func (u decompressedReader) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("FILE: %s: reading it as %s: %w", u.name, u.format, err)
}
