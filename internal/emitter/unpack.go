package emitter

import (
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// unpacker returns the content of what was packed.
type unpacker func(io.Reader) (io.Reader, error)

func unpackGzip(from io.Reader) (io.Reader, error)  { return gzip.NewReader(from) }
func unpackBzip2(from io.Reader) (io.Reader, error) { return bzip2.NewReader(from), nil }

// largestWindow is that of zstd --long.
const largestWindow = 128 << 20

func unpackZstd(from io.Reader) (io.Reader, error) {
	// With one decoder there are no goroutines, so that it need not be closed.
	return zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(largestWindow))
}

// unpacked is the content of a packed file or stream.
type unpacked struct {
	name, form string
	from       io.Reader
}

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	return n, u.explain(err)
}

// explain says what could not be read. io.EOF is the content's end.
func (u unpacked) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("file: %s: reading it as %s: %w", u.name, u.form, err)
}
