package gunzip

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

// member returns a member with these flags and fields, and with the sum of its header if a flag
// announces that.
func member(t testing.TB, flags byte, fields, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	fixed, rest := b.String()[:10], b.String()[10:]
	header := fixed[:3] + string([]byte{flags}) + fixed[4:] + fields
	if flags&hasSum != 0 {
		sum := crc32.ChecksumIEEE([]byte(header))
		header += string([]byte{byte(sum), byte(sum >> 8)})
	}
	return header + rest
}

func read(text string) (string, error) {
	r := new(Reader)
	r.Reset(strings.NewReader(text))
	content, err := io.ReadAll(r)
	return string(content), err
}

// members have all kinds of headers.
func members(t testing.TB) map[string]string {
	long := strings.Repeat("n", 4000) + "\x00"
	return map[string]string{
		"no field":              member(t, 0, "", "text"),
		"text":                  member(t, 1, "", "text"),
		"name":                  member(t, hasName, "n\x00", "text"),
		"name of 4000 bytes":    member(t, hasName, long, "text"),
		"comment of 4000 bytes": member(t, hasComment, long, "text"),
		"all fields":            member(t, 31, "\x03\x00abcn\x00c\x00", "text"),
		"all fields, long":      member(t, 31, "\xff\xff"+strings.Repeat("e", 1<<16-1)+long+long, "text"),
		"sum alone":             member(t, hasSum, "", "text"),
	}
}

func TestMembers(t *testing.T) {
	for name, text := range members(t) {
		for repeated := 1; repeated <= 3; repeated++ {
			content, err := read(strings.Repeat(text, repeated))
			if want := strings.Repeat("text", repeated); content != want || err != nil {
				t.Errorf("%s, %d times: %q and %v", name, repeated, content, err)
			}
		}
	}
}

// A long header takes no memory.
func TestHeadersAllocateNothing(t *testing.T) {
	text := member(t, hasSum|hasName, strings.Repeat("n", 1<<16)+"\x00", "text")
	r, source, to := new(Reader), strings.NewReader(text), make([]byte, 8)
	read := func() {
		source.Reset(text)
		r.Reset(source)
		if n, err := io.ReadFull(r, to); n != len("text") || err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes and %v", n, err)
		}
	}
	read() // creates the decoder
	if got := testing.AllocsPerRun(10, read); got > 1 {
		t.Errorf("%v allocations", got)
	}
}

// A member that is cut is no end, whether it is the first or another one.
func TestCutMembers(t *testing.T) {
	whole := member(t, 0, "", "whole")
	for name, text := range members(t) {
		for end := 1; end < len(text); end += max(1, len(text)/100) {
			for before, content := range map[string]string{"": "", whole: "whole"} {
				got, err := read(before + text[:end])
				if err != io.ErrUnexpectedEOF || !strings.HasPrefix(got, content) {
					t.Fatalf("%s, cut to %d of %d bytes: %q and %v", name, end, len(text), got, err)
				}
			}
		}
	}
	if _, err := read(""); err != io.ErrUnexpectedEOF {
		t.Errorf("no member at all: %v", err)
	}
}

func TestDamagedMembers(t *testing.T) {
	plain, summed := member(t, 0, "", "text"), member(t, hasSum|hasName, "n\x00", "text")
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"magic":            {"\x1f\x8c" + plain[2:], gzip.ErrHeader},
		"method":           {plain[:2] + "\x07" + plain[3:], gzip.ErrHeader},
		"reserved flag":    {plain[:3] + "\x20" + plain[4:], errReserved},
		"sum of a header":  {summed[:10] + "m" + summed[11:], gzip.ErrHeader},
		"sum of a content": {plain[:len(plain)-8] + "xxxx" + plain[len(plain)-4:], gzip.ErrChecksum},
		"size":             {plain[:len(plain)-1] + "x", gzip.ErrChecksum},
		"garbage behind":   {plain + "ten bytes!", gzip.ErrHeader},
		"a byte behind":    {plain + "x", io.ErrUnexpectedEOF},
	} {
		if _, err := read(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The error of the source is returned, and a Reader that failed is as good as new after Reset.
func TestReset(t *testing.T) {
	r, failure := new(Reader), errors.New("failure")
	text := member(t, hasName, "n\x00", "text")
	for end := range len(text) {
		broken := io.MultiReader(strings.NewReader(text[:end]), iotest.ErrReader(failure))
		r.Reset(byteReader{broken})
		if _, err := io.ReadAll(r); !errors.Is(err, failure) {
			t.Fatalf("a source that fails after %d bytes: %v", end, err)
		}
		r.Reset(strings.NewReader(text))
		if content, err := io.ReadAll(r); err != nil || string(content) != "text" {
			t.Fatalf("after a failure: %q and %v", content, err)
		}
	}
}

type byteReader struct{ io.Reader }

func (r byteReader) ReadByte() (byte, error) {
	var one [1]byte
	_, err := io.ReadFull(r, one[:])
	return one[0], err
}

// What the standard library reads is read, with the same content, unless reserved flags are set, which
// the library ignores. What the library refuses is refused, but for long names and comments.
func FuzzReader(f *testing.F) {
	for _, text := range members(f) {
		if len(text) < 1000 {
			f.Add([]byte(text))
			f.Add([]byte(text + text))
			f.Add([]byte(text + member(f, firstReserved, "", "text")))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := read(string(text))
		want, wantErr := []byte(nil), error(nil)
		library, wantErr := stdgzip.NewReader(bytes.NewReader(text))
		if wantErr == nil {
			want, wantErr = io.ReadAll(library)
		}
		if errors.Is(err, errReserved) && strings.HasPrefix(string(want), got) {
			return
		}
		if wantErr == nil && (err != nil || got != string(want)) {
			t.Fatalf("%q is read as %q and %v, and by the library as %q", text, got, err, want)
		}
		if err == nil && wantErr != nil && len(text) < 512 {
			t.Fatalf("%q is read as %q, and refused by the library: %v", text, got, wantErr)
		}
	})
}
