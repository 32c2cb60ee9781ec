package body

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// zstdForms returns encodings of a text, separated by whether their frames state their size.
func zstdForms(t testing.TB, text string) (sized, unsized map[string][]byte) {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, half := e.EncodeAll([]byte(text), nil), len(text)/2
	two := e.EncodeAll([]byte(text[half:]), e.EncodeAll([]byte(text[:half]), nil))
	skipped := append([]byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"), whole...)
	var b bytes.Buffer
	e.Reset(&b)
	for part := range strings.SplitAfterSeq(text, " ") {
		if _, err := io.WriteString(e, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(); err != nil { // so that the size is not known when the frame begins
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	stream := b.Bytes()
	return map[string][]byte{"one": whole, "two": two, "skipped": skipped},
		map[string][]byte{"stream": stream, "stream, whole": append(bytes.Clone(stream), e.EncodeAll(nil, nil)...)}
}

// Frames with and without sizes are decoded one after the other, also after truncated frames.
func TestZstdFrames(t *testing.T) {
	text := strings.Repeat("a log record, ", 10_000)
	sized, unsized := zstdForms(t, text)
	for name, body := range sized {
		if size, err := decodedSize(body); size != int64(len(text)) || err != nil {
			t.Errorf("%s: %d, %v", name, size, err)
		}
	}
	for name, body := range unsized {
		if size, err := decodedSize(body); size != -1 || err != nil {
			t.Errorf("%s: %d, %v", name, size, err)
		}
	}
	r := reader(t, 16<<20)
	for range 3 {
		for _, forms := range []map[string][]byte{sized, unsized} {
			for name, body := range forms {
				checkZstdFrame(t, r, name, body, text)
			}
		}
	}
	if held := r.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// checkZstdFrame checks that a body is decoded, and that its truncated forms are malformed.
func checkZstdFrame(t *testing.T, r *Reader, name string, body []byte, text string) {
	t.Helper()
	decoded, fault := r.Decode("zstd", body)
	if fault != nil || string(decoded.Body) != text {
		t.Fatalf("%s: %+v", name, fault)
	}
	r.memory.Drop(decoded)
	for _, cut := range []int{1, len(body) / 2, len(body) - 1} {
		decoded, fault := r.Decode("zstd", body[:cut])
		switch {
		case fault == nil && name == "two": // the first frame is whole
			r.memory.Drop(decoded)
		case fault == nil || fault.Code != problem.Malformed:
			t.Errorf("%s, %d bytes of it: %+v", name, cut, fault)
		}
	}
}

// A decoder that stopped in the middle of a stream, which was too large, decodes the next body.
func TestZstdDecoderIsReusedAfterTooLargeStream(t *testing.T) {
	text := strings.Repeat("a log record, ", 10_000)
	sized, unsized := zstdForms(t, text)
	r := reader(t, 16<<20)
	r.Configure(1000)
	for range cap(r.zstds) { // each decoder stops in the middle of a stream
		if _, fault := r.Decode("zstd", unsized["stream"]); fault == nil || fault.Code != problem.TooLarge {
			t.Errorf("a stream that is too large: %+v", fault)
		}
	}
	r.Configure(len(text))
	for range cap(r.zstds) {
		decoded, fault := r.Decode("zstd", sized["one"])
		if fault != nil {
			t.Fatalf("after it: %+v", fault)
		}
		r.memory.Drop(decoded)
	}
	if held := r.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// A frame that is a single segment has its content for its window, and may be larger than the largest
// window of others; a stream behind it may not.
func TestLargeSingleSegments(t *testing.T) {
	text := strings.Repeat("a log record, ", zstdWindow/14+1)
	r := reader(t, 64<<20)
	r.Configure(16 << 20)
	e, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true), zstd.WithWindowSize(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	large := e.EncodeAll([]byte(text), nil)
	_, unsized := zstdForms(t, "text")
	for range 2 * cap(r.zstds) { // each decoder has its limit again
		checkZstdFrame(t, r, "one", large, text)
		for name, body := range map[string][]byte{"a stream": unsized["stream"], "half a frame": large[:len(large)/2]} {
			decoded, fault := r.Decode("zstd", append(bytes.Clone(large), body...))
			if fault == nil || fault.Code != problem.Malformed {
				t.Errorf("a large segment and %s: %+v", name, fault)
			}
			if decoded != nil {
				r.memory.Drop(decoded)
			}
		}
	}
	if held := r.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// FuzzZstd checks that a body is decoded as a stream decoder does, whether or not the frames state
// their size.
func FuzzZstd(f *testing.F) {
	sized, unsized := zstdForms(f, "a text, a text")
	for _, forms := range []map[string][]byte{sized, unsized} {
		for _, body := range forms {
			f.Add(body)
		}
	}
	f.Add([]byte("\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"))
	r := reader(f, 4<<20)
	r.Configure(1 << 20)
	reference, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var want []byte
		err := reference.Reset(bytes.NewReader(encoded))
		if err == nil {
			want, err = io.ReadAll(io.LimitReader(reference, 1<<20+1))
		}
		decoded, fault := r.Decode("zstd", encoded)
		if fault == nil {
			if err != nil || !bytes.Equal(decoded.Body, want) {
				t.Errorf("%q instead of %q, %v", decoded.Body, want, err)
			}
			r.memory.Drop(decoded)
		} else if err == nil && len(want) <= 1<<20 {
			t.Errorf("%+v instead of %q", fault, want)
		}
		if held := r.memory.Held(); held != 0 {
			t.Errorf("%d bytes are held", held)
		}
	})
}
