package body

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// BenchmarkDecode compares the decoding of a body of 77 kB with what the decoders cost that read
// to a buffer that is large enough.
func BenchmarkDecode(b *testing.B) {
	var text bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&text, `{"timestamp":%d,"level":"INFO","message":"GET /orders/%05d done in %3d ms for tenant-%02d","metadata":{"service":"shop","host":"web-%02d"}},`,
			1640995200000+i, 10_000+i*7919%90_000, i*31%900+100, i%90, i%20)
	}
	forms := encoded(b, text.String())
	gzipped, zstandard := []byte(forms["gzip"][""]), []byte(forms["zstd"][""])
	buffer := make([]byte, text.Len()+bytes.MinRead)
	b.Run("gzip/alone", func(b *testing.B) {
		var decoder gzip.Reader
		for b.Loop() {
			if err := decoder.Reset(bytes.NewReader(gzipped)); err != nil {
				b.Fatal(err)
			}
			if n, err := io.ReadFull(&decoder, buffer); n != text.Len() || err != io.ErrUnexpectedEOF {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("zstd/alone", func(b *testing.B) {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		defer decoder.Close()
		for b.Loop() {
			if got, err := decoder.DecodeAll(zstandard, buffer[:0]); len(got) != text.Len() || err != nil {
				b.Fatal(len(got), err)
			}
		}
	})
	r := reader(b, 16<<20)
	for coding, body := range map[string][]byte{"gzip": gzipped, "zstd": zstandard} {
		b.Run(coding+"/reader", func(b *testing.B) {
			for b.Loop() {
				got, fault := r.Decode(coding, body)
				if fault != nil || len(got.Body) != text.Len() {
					b.Fatal(fault)
				}
				r.memory.Drop(got)
			}
		})
	}
}
