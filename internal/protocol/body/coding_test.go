package body

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// encoded returns a text as each coding and format has it.
func encoded(t testing.TB, text string) map[string]map[string]string {
	t.Helper()
	write := func(open func(io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		w := open(&b)
		_, err := io.WriteString(w, text)
		if err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	zstdText := write(func(w io.Writer) io.WriteCloser { e, _ := zstd.NewWriter(w); return e })
	deflateText := write(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	frames := write(func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) })
	return map[string]map[string]string{
		"gzip": {"": write(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })},
		"zstd": {"": zstdText},
		"deflate": {
			"zlib": deflateText,
			"bare": write(func(w io.Writer) io.WriteCloser { e, _ := flate.NewWriter(w, 6); return e }),
		},
		"zlib":            {"": deflateText},
		"snappy":          {"framed": frames, "block": string(snappy.Encode(nil, []byte(text)))},
		"x-snappy-framed": {"": frames},
		"gzip,deflate":    {"deflate": deflateText, "gzip": write(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })}, // of graypy
	}
}

func request(t *testing.T, coding, body string) *server.Request {
	t.Helper()
	text := fmt.Sprintf("POST /x HTTP/1.1\r\nHost: h\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", coding, len(body))
	head, err := http1.Parse([]byte(text), 8<<10)
	if err != nil {
		t.Fatal(err)
	}
	return server.NewRequest(&head, strings.NewReader(body), netip.Addr{}, time.Time{})
}

func TestCodings(t *testing.T) {
	text := strings.Repeat("a log record, ", 10_000)
	r := reader(t, 16<<20)
	for coding, formats := range encoded(t, text) {
		for format, body := range formats {
			for range 2 { // with a decoder of the pool, too
				decoded, fault := r.Read(request(t, coding, body))
				if fault != nil || string(decoded.Body) != text {
					t.Fatalf("%s %s: %+v", coding, format, fault)
				}
				r.memory.Drop(decoded)
			}
			if _, fault := r.Read(request(t, coding, body[:len(body)/2])); fault == nil || fault.Code != problem.Malformed {
				t.Errorf("%s %s, cut off: %+v", coding, format, fault)
			}
		}
	}
	for coding, formats := range encoded(t, strings.Repeat("x", 1<<20+1)) {
		for format, body := range formats {
			if _, fault := r.Read(request(t, coding, body)); fault == nil || fault.Code != problem.TooLarge {
				t.Errorf("%s %s, too large: %+v", coding, format, fault)
			}
		}
	}
	if held := r.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// What is behind a deflate stream is not dropped silently: the body is refused.
func TestBytesBehindDeflate(t *testing.T) {
	r := reader(t, 16<<20)
	for format, body := range encoded(t, "a log record")["deflate"] {
		for _, behind := range []string{"\x00", body} {
			if _, fault := r.Read(request(t, "deflate", body+behind)); fault == nil || fault.Code != problem.Malformed {
				t.Errorf("%s and %q behind it: %+v", format, behind, fault)
			}
		}
	}
	if held := r.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestSeveralCodings(t *testing.T) {
	r := reader(t, 16<<20)
	for _, codings := range []string{"gzip, gzip", "deflate, gzip", "gzip, deflate, zstd", "zstd, deflate", "gzip, br"} {
		if _, fault := r.Read(request(t, codings, "x")); fault == nil || fault.Code != problem.UnsupportedEncoding {
			t.Errorf("%s: %+v", codings, fault)
		}
	}
}

func TestNativeCodings(t *testing.T) {
	r := reader(t, 16<<20)
	r.codings = NativeCodings
	for _, coding := range []string{"deflate", "zlib", "snappy", "x-snappy-framed", "gzip, deflate"} {
		if _, fault := r.Read(request(t, coding, "x")); fault == nil || fault.Code != problem.UnsupportedEncoding {
			t.Errorf("%s: %+v", coding, fault)
		}
	}
	_, fault := r.Read(request(t, "br", "x"))
	if fault == nil || !strings.Contains(fault.Detail, "gzip, zstd and none") {
		t.Errorf("%+v", fault)
	}
}

// A block that announces more than its encoded bytes can make takes no memory.
func TestBlockThatAnnouncesTooMuch(t *testing.T) {
	r := reader(t, 512<<10)
	block := append(binary.AppendUvarint(nil, 1<<20), make([]byte, 100)...)
	if _, fault := r.DecodeBlock(block); fault == nil || fault.Code != problem.Malformed {
		t.Errorf("%+v", fault)
	}
}
