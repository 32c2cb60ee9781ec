package native

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/problem"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// compress encodes a text, which is written to the encoder in pieces.
func compress(t testing.TB, encoding, text string, zstdOptions ...zstd.EOption) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if encoding == "zstd" {
		var err error
		if w, err = zstd.NewWriter(&out, append(zstdOptions, zstd.WithEncoderConcurrency(1))...); err != nil {
			t.Fatal(err)
		}
	}
	for rest := []byte(text); len(rest) > 0; {
		n := min(len(rest), 1<<20)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCompressed(t *testing.T) {
	f := serve(t, standard())
	for _, encoding := range []string{"gzip", "zstd"} {
		header := "Content-Encoding: " + encoding
		for _, size := range []int{0, 1000, 64 << 10, 900_000, 1 << 20} {
			body := aPacket("p", size)
			packed := compress(t, encoding, body)
			f.exchange(post(packed, jsonType, header)).wantAccepted(t, "p")
			f.exchange(chunked(packed, 11, strings.ToUpper(header[:20])+header[20:])).wantAccepted(t, "p")
			half := len(body) / 2
			f.exchange(post(compress(t, encoding, body[:half])+compress(t, encoding, body[half:]), header)).wantAccepted(t, "p")
			records := f.journal.records()
			for _, r := range records[len(records)-3:] {
				if r.body != body {
					t.Errorf("%s: a body of %d bytes came out as %d others", encoding, len(body), len(r.body))
				}
			}
		}
	}
	f.exchange(post(compress(t, "gzip", aPacket("p", 0)), "Content-Encoding: x-gzip")).wantAccepted(t, "p")
	f.wantCounted(nil)
}

func TestCompressedRefused(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("p", 10_000)
	bomb := strings.Repeat(" ", 32<<20)
	counted := make(map[problem.Code]int)
	for _, encoding := range []string{"gzip", "zstd"} {
		packed := compress(t, encoding, body)
		for _, c := range []struct {
			name, body string
			status     int
			code       problem.Code
		}{
			{"truncated", packed[:len(packed)-5], 400, problem.Malformed},
			{"header only", packed[:3], 400, problem.Malformed},
			{"empty", "", 400, problem.Malformed},
			{"plain", body, 400, problem.Malformed},
			{"damaged", damaged(packed), 400, problem.Malformed},
			{"rubbish behind", packed + "rubbish", 400, problem.Malformed},
			{"a byte too large", compress(t, encoding, aPacket("p", 1<<20+1)), 413, problem.TooLarge},
			{"bomb", compress(t, encoding, bomb), 413, problem.TooLarge},
			{"invalid", compress(t, encoding, "{}"), 400, problem.InvalidPacket},
		} {
			t.Run(fmt.Sprintf("%s/%s", encoding, c.name), func(t *testing.T) {
				f.exchange(post(c.body, "Content-Encoding: "+encoding)).wantRefusal(t, c.status, c.code)
			})
			counted[c.code]++
		}
	}
	f.wantCounted(counted)
}

func damaged(text string) string {
	bytes := []byte(text)
	bytes[len(bytes)/2] ^= 0x55
	return string(bytes)
}

func TestZstdWindow(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("p", 500_000)
	fits := compress(t, "zstd", body, zstd.WithWindowSize(zstdWindow), zstd.WithSingleSegment(false))
	f.exchange(post(fits, "Content-Encoding: zstd")).wantAccepted(t, "p")
	// The frame's header announces a window of 128 MiB.
	wide := "\x28\xb5\x2f\xfd\x00" + string(rune(17<<3)) + fits[6:]
	f.exchange(post(wide, "Content-Encoding: zstd")).wantRefusal(t, 415, problem.UnsupportedEncoding)
}

// All decoders are returned, whatever they were given.
func TestDecodersAreReturned(t *testing.T) {
	f := serve(t, standard())
	for range 3 * runtime.GOMAXPROCS(0) {
		f.exchange(post("rubbish", "Content-Encoding: zstd")).wantRefusal(t, 400, problem.Malformed)
	}
	f.exchange(post(compress(t, "zstd", aPacket("p", 0)), "Content-Encoding: zstd")).wantAccepted(t, "p")
}
