package emitter

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

// twoStreams is "one\ntwo\n" and "three\n" by bzip2, one after the other.
const twoStreams = "QlpoOTFBWSZTWacUK3cAAALBgAAQAgGEgCAAIYAMAjj1G4u5IpwoSFOKFbuAQlpoOTFBWSZTWQHHM2oAAALBgAAQAkAUACAAIYNBmgiwHF3JFOFCQAcczag="

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create("app.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarred(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "app.log", Mode: 0o600, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t *testing.T, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

func bzipped(t *testing.T) []byte {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(twoStreams)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	return content
}

// streams are the read patterns of standard input.
var streams = map[string]func([]byte) io.Reader{
	"at once":        func(b []byte) io.Reader { return bytes.NewReader(b) },
	"byte by byte":   func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
	"with its end":   func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
	"with a stutter": func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
}

// Compressed content is decompressed, from a file and from standard input.
func TestCompressedContentIsDecompressed(t *testing.T) {
	lines := []string{"one", "two", "three"}
	plain := []byte("one\ntwo\nthree\n")
	for name, content := range map[string][]byte{
		"plain": plain, "gzip": gzipped(t, plain), "zstd": zstandard(t, plain), "bzip2": bzipped(t),
		"two of zstd": slices.Concat(zstandard(t, plain[:4]), zstandard(t, plain[4:])),
	} {
		if got, _, _ := drain(t, openSource(t, fileConfig(writeFile(t, content), "5"), nil)); !slices.Equal(texts(got), lines) {
			t.Errorf("%s: %q", name, texts(got))
		}
		for how, pipe := range streams {
			if got, _, end := drain(t, openSource(t, fileConfig("-", "5"), pipe(content))); !slices.Equal(texts(got), lines) || end != io.EOF {
				t.Errorf("%s from standard input %s: %q, %v", name, how, texts(got), end)
			}
		}
	}
}

const notLogError = "is binary, not a log of lines"

type nonLogContent struct {
	content []byte
	says    string // what the error contains
}

func nonLogContents(t *testing.T) map[string]nonLogContent {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		program = []byte("\x7fELF\x02\x01\x01\x00")
	}
	var wide []byte
	for _, unit := range utf16.Encode([]rune("\ufeffone\ntwo\n")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	return map[string]nonLogContent{
		"xz":             {[]byte("\xfd7zXZ\x00\x00\x04rest"), "is xz; send its text with: xz -dc FILE | logstreamer emitter -file -"},
		"zip":            {zipped(t, "one\n"), "is a zip archive; send its text with: unzip -p FILE | logstreamer emitter -file -"},
		"tar":            {tarred(t, "one\n"), "is a tar archive; send its text with: tar -xOf FILE | logstreamer"},
		"program":        {program[:min(len(program), 1<<20)], ""},
		"UTF-16":         {wide, "is UTF-16 text; send its text with: iconv -f UTF-16 -t UTF-8 FILE | logstreamer"},
		"journal":        {[]byte("LPKSHHRH\x00\x00\x00\x00"), "is a systemd journal; send its text with: journalctl"},
		"PDF":            {[]byte("%PDF-1.7\n1 0 obj\n"), "is a PDF, not a log of lines"},
		"random bytes":   {randomBytes(8 << 10), notLogError},
		"NUL bytes":      {make([]byte, 512), notLogError},
		"short binary":   {[]byte("\x00\x01\x02\x03\x04"), notLogError},
		"UTF-16 no mark": {wide[2:], notLogError},
		"tar in gzip":    {gzipped(t, tarred(t, "one\n")), "not a log of lines"},
		"binary in zstd": {zstandard(t, randomBytes(8<<10)), "not a log of lines"},
	}
}

// The emitter rejects content that is not a log before it sends any of the content; the error
// names the file.
func TestNonLogContentIsRejected(t *testing.T) {
	for name, c := range nonLogContents(t) {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, c.content)
			for _, follow := range []bool{false, true} {
				config := fileConfig(file, "5")
				config.Follow = follow
				s, err := newSource(config, nil, "run", slog.New(slog.DiscardHandler))
				if err == nil {
					_ = s.close()
				}
				if want := strings.Replace(c.says, "FILE", file, 1); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) && !follow {
					t.Errorf("follow %v: %v, want %q", follow, err, want)
				}
			}
			for how, pipe := range streams {
				if how == "byte by byte" && (c.says == notLogError || name == "tar") {
					continue // detection needs a block
				}
				got, counts, end := drain(t, openSource(t, fileConfig("-", "5"), pipe(c.content)))
				if len(got) > 0 || counts.read > 0 || end == nil || end == io.EOF || !strings.Contains(end.Error(), "standard input") ||
					how == "at once" && !strings.Contains(end.Error(), c.says) {
					t.Errorf("standard input %s: %d packets of %d lines, %v", how, len(got), counts.read, end)
				}
			}
		})
	}
}

// A log may have odd bytes or another encoding than UTF-8.
func TestUnusualLogEncodingsAreSent(t *testing.T) {
	russian := strings.Repeat("\xee\xf8\xe8\xe1\xea\xe0 \xe4\xe8\xf1\xea\xe0\n", 400)
	for name, content := range map[string]string{
		"empty": "", "one NUL": "a\x00\n", "NUL in each line": strings.Repeat("a line of usual length with one \x00 in it\n", 100),
		"a hole":  strings.Repeat("a line of usual length\n", 300) + strings.Repeat("\x00", 4096) + "\nlast\n",
		"colours": strings.Repeat("\x1b[31mERROR\x1b[0m no\n", 200), "Latin-1": strings.Repeat("gr\xfc\xdfe aus k\xf6ln\n", 200), "windows-1251": russian,
		"BZh": "BZh is a word\n", "BZ": "BZ", "PK": "PK\n", "7": "7", "7z": "7z\n", "cut UTF-8": strings.Repeat("x", sniffBytes-1) + "é\n",
	} {
		want := int64(strings.Count(content, "\n"))
		if content != "" && !strings.HasSuffix(content, "\n") {
			want++
		}
		if _, counts, end := drain(t, openSource(t, fileConfig(writeFile(t, []byte(content)), "5"), nil)); counts.read != want || end != io.EOF {
			t.Errorf("%s: %d lines, want %d; %v", name, counts.read, want, end)
		}
		for how, pipe := range streams {
			if _, counts, end := drain(t, openSource(t, fileConfig("-", "5"), pipe([]byte(content)))); counts.read != want || end != io.EOF {
				t.Errorf("%s from standard input %s: %d lines, want %d; %v", name, how, counts.read, want, end)
			}
		}
	}
}

// The suggested command works for any file name.
func TestRefusalQuotesTheFile(t *testing.T) {
	for name, want := range map[string]string{
		"/var/log/app.log.xz": "xz -dc /var/log/app.log.xz |", "a b.xz": "xz -dc 'a b.xz' |", "it's": `xz -dc 'it'\''s' |`, "-x": "xz -dc './-x' |",
		standardInputName: "xz -dc FILE |",
	} {
		f, _ := detectFormat([]byte("\xfd7zXZ\x00"))
		if err := f.refusal(name); !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
