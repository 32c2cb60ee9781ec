package emitter

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// sniffBytes is the length of the prefix by which content is detected.
const sniffBytes = 4 << 10

// contentFormat is a file format detected by its magic bytes.
type contentFormat struct {
	name  string
	magic string
	at    int // offset of magic
	// decompress is nil for formats that the emitter cannot decompress.
	decompress decompressor
	// textCommand is the shell command that writes the content as text; FILE
	// stands for the file name.
	textCommand string
}

// contentFormats are the formats that cannot be sent as they are.
var contentFormats = []contentFormat{
	{name: "gzip", magic: "\x1f\x8b", decompress: newGzipReader},
	{name: "zstd", magic: "\x28\xb5\x2f\xfd", decompress: newZstdReader},
	{name: "bzip2", magic: "BZh", decompress: newBzip2Reader},
	{name: "xz", magic: "\xfd7zXZ\x00", textCommand: "xz -dc FILE"},
	{name: "lz4", magic: "\x04\x22\x4d\x18", textCommand: "lz4 -dc FILE"},
	{name: "lzip", magic: "LZIP\x01", textCommand: "lzip -dc FILE"},
	{name: "a zip archive", magic: "PK\x03\x04", textCommand: "unzip -p FILE"},
	{name: "a zip archive", magic: "PK\x05\x06", textCommand: "unzip -p FILE"},
	{name: "a 7z archive", magic: "7z\xbc\xaf\x27\x1c", textCommand: "7z x -so FILE"},
	{name: "a tar archive", magic: "ustar", at: 257, textCommand: "tar -xOf FILE"},
	{name: "a systemd journal", magic: "LPKSHHRH", textCommand: "journalctl -o short-iso --file FILE"},
	{name: "UTF-16 text", magic: "\xff\xfe", textCommand: "iconv -f UTF-16 -t UTF-8 FILE"},
	{name: "UTF-16 text", magic: "\xfe\xff", textCommand: "iconv -f UTF-16 -t UTF-8 FILE"},
	{name: "an ELF program", magic: "\x7fELF"},
	{name: "a PDF", magic: "%PDF-"},
}

// maxMagicBytes is the number of bytes needed to detect every compressed
// format.
const maxMagicBytes = 8

// detectFormat returns the format of content that starts with start; ok is
// false for content that may be text.
func detectFormat(start []byte) (f contentFormat, ok bool) {
	for _, f := range contentFormats {
		if len(start) >= f.at && bytes.HasPrefix(start[f.at:], []byte(f.magic)) && (f.name != "bzip2" || isBzip2(start)) {
			return f, true
		}
	}
	if isBinary(start) {
		return contentFormat{name: "binary"}, true
	}
	return contentFormat{}, false
}

// isBzip2 reports whether start is bzip2 rather than text that starts with BZh:
// a digit and a block or end-of-stream marker follow.
func isBzip2(start []byte) bool {
	return len(start) >= 8 && start[3] >= '1' && start[3] <= '9' &&
		(bytes.HasPrefix(start[4:], []byte("1AY&")) || bytes.HasPrefix(start[4:], []byte("\x17\x72\x45\x38")))
}

// isBinary reports whether start is more than a log with a few odd bytes. Text
// in any encoding has few control characters, although legacy encodings may
// have much invalid UTF-8.
func isBinary(start []byte) bool {
	size := len(start)
	controls, invalid := countNonText(start)
	switch {
	case controls < 4:
		return false
	case size < 256:
		return 3*controls >= size
	default:
		return 10*controls >= size || 50*controls >= size && 5*(controls+invalid) >= size
	}
}

// countNonText counts control characters that logs do not contain, and bytes of
// invalid UTF-8.
func countNonText(text []byte) (controls, invalid int) {
	for i := 0; i < len(text); {
		r, width := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			invalid++
		case r < ' ' && !strings.ContainsRune("\t\n\v\f\r\b\x1b", r), r == 0x7f:
			controls++
		}
		i += width
	}
	return controls, invalid
}

// refusal returns the error for content of the format, with the command that
// converts it.
func (f contentFormat) refusal(name string) error {
	if f.textCommand == "" {
		return fmt.Errorf("FILE: %s is %s, not a log of lines", name, f.name)
	}
	file := name
	if name == standardInputName {
		file = "FILE"
	}
	return fmt.Errorf("FILE: %s is %s; send its text with: %s | logstreamer emitter -file -", name, f.name, strings.Replace(f.textCommand, "FILE", shellQuoted(file), 1))
}

// shellQuoted quotes a file name for a POSIX shell.
func shellQuoted(name string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/+,:=@%"
	if name != "" && name[0] != '-' && strings.Trim(name, plain) == "" {
		return name
	}
	if name != "" && name[0] == '-' {
		name = "./" + name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// prefixReader is a reader whose prefix was read already.
type prefixReader struct {
	start []byte
	err   error // the error returned with the prefix
	from  io.Reader
}

// readPrefix reads the first block of a stream, and more only while the block
// is too short to detect compression.
func readPrefix(from io.Reader) *prefixReader {
	b := &prefixReader{start: make([]byte, sniffBytes), from: from}
	n := 0
	for b.err == nil && (n == 0 || needsMoreBytes(b.start[:n])) {
		var read int
		read, b.err = from.Read(b.start[n:])
		n += read
	}
	b.start = b.start[:n]
	return b
}

// needsMoreBytes reports whether start is a proper prefix of some magic.
func needsMoreBytes(start []byte) bool {
	if len(start) >= maxMagicBytes {
		return false
	}
	for _, f := range contentFormats {
		if f.at == 0 && strings.HasPrefix(f.magic, string(start[:min(len(start), len(f.magic))])) {
			return true
		}
	}
	return false
}

func (b *prefixReader) Read(p []byte) (int, error) {
	if len(b.start) > 0 {
		n := copy(p, b.start)
		b.start = b.start[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.from.Read(p)
}

// text returns the content of a file or stream, decompressed where possible,
// and an error when the content is not text.
func text(name string, from io.Reader) (io.Reader, error) {
	content := readPrefix(from)
	f, ok := detectFormat(content.start)
	switch {
	case !ok:
		return content, nil
	case f.decompress == nil:
		return nil, f.refusal(name)
	}
	reader, err := f.decompress(content)
	decompressed := decompressedReader{name, f.name, reader}
	if err != nil {
		return nil, decompressed.explain(err)
	}
	text := readPrefix(decompressed)
	if f, ok := detectFormat(text.start); ok {
		return nil, fmt.Errorf("FILE: the content of %s is %s, not a log of lines", name, f.name)
	}
	return text, nil
}
