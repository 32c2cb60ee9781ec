package emitter

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// firstBlock is how much of a file's content tells what it is.
const firstBlock = 4 << 10

// form is what a file's content is, by its first bytes.
type form struct {
	name  string
	magic string
	at    int // where magic is
	// packed is set for what can be unpacked here.
	packed unpacker
	// instead is the command that writes its text, with FILE for the file.
	instead string
}

// forms are those that cannot be sent as they are.
var forms = []form{
	{name: "gzip", magic: "\x1f\x8b", packed: unpackGzip},
	{name: "zstd", magic: "\x28\xb5\x2f\xfd", packed: unpackZstd},
	{name: "bzip2", magic: "BZh", packed: unpackBzip2},
	{name: "xz", magic: "\xfd7zXZ\x00", instead: "xz -dc FILE"},
	{name: "lz4", magic: "\x04\x22\x4d\x18", instead: "lz4 -dc FILE"},
	{name: "lzip", magic: "LZIP\x01", instead: "lzip -dc FILE"},
	{name: "a zip archive", magic: "PK\x03\x04", instead: "unzip -p FILE"},
	{name: "a zip archive", magic: "PK\x05\x06", instead: "unzip -p FILE"},
	{name: "a 7z archive", magic: "7z\xbc\xaf\x27\x1c", instead: "7z x -so FILE"},
	{name: "a tar archive", magic: "ustar", at: 257, instead: "tar -xOf FILE"},
	{name: "a systemd journal", magic: "LPKSHHRH", instead: "journalctl -o short-iso --file FILE"},
	{name: "UTF-16 text", magic: "\xff\xfe", instead: "iconv -f UTF-16 -t UTF-8 FILE"},
	{name: "UTF-16 text", magic: "\xfe\xff", instead: "iconv -f UTF-16 -t UTF-8 FILE"},
	{name: "an ELF program", magic: "\x7fELF"},
	{name: "a PDF", magic: "%PDF-"},
}

// longestMagic is how many bytes tell whether something can be unpacked; the
// forms that begin elsewhere are recognised if they are there.
const longestMagic = 8

// formOf recognises what begins so; ok is false for what may be text.
func formOf(start []byte) (f form, ok bool) {
	for _, f := range forms {
		if len(start) >= f.at && bytes.HasPrefix(start[f.at:], []byte(f.magic)) && (f.name != "bzip2" || isBzip2(start)) {
			return f, true
		}
	}
	if looksBinary(start) {
		return form{name: "binary"}, true
	}
	return form{}, false
}

// isBzip2 tells bzip2 from text that begins with BZh: a digit and the first
// bytes of a block, or of the end, follow.
func isBzip2(start []byte) bool {
	return len(start) >= 8 && start[3] >= '1' && start[3] <= '9' &&
		(bytes.HasPrefix(start[4:], []byte("1AY&")) || bytes.HasPrefix(start[4:], []byte("\x17\x72\x45\x38")))
}

// looksBinary tells whether it is more than a log with a few odd bytes. No text
// in any encoding has many control characters, though one in an old encoding may
// have much that is no UTF-8.
func looksBinary(start []byte) bool {
	size := len(start)
	controls, invalid := oddBytes(start)
	switch {
	case controls < 4:
		return false
	case size < 256:
		return 3*controls >= size
	default:
		return 10*controls >= size || 50*controls >= size && 5*(controls+invalid) >= size
	}
}

// oddBytes counts control characters that logs do not have, and bytes that are
// no UTF-8.
func oddBytes(text []byte) (controls, invalid int) {
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

// refusal says why a file of that form is not sent, and what to do.
func (f form) refusal(name string) error {
	if f.instead == "" {
		return fmt.Errorf("file: %s is %s, not a log of lines", name, f.name)
	}
	file := name
	if name == standardInputName {
		file = "FILE"
	}
	return fmt.Errorf("file: %s is %s; send its text with: %s | logstreamer emitter -file -", name, f.name, strings.Replace(f.instead, "FILE", quoted(file), 1))
}

// quoted is a file's name as a shell takes it.
func quoted(name string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/+,:=@%"
	if name != "" && name[0] != '-' && strings.Trim(name, plain) == "" {
		return name
	}
	if name != "" && name[0] == '-' {
		name = "./" + name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// begun is a reader of which the start was read already.
type begun struct {
	start []byte
	err   error // what came with the start
	from  io.Reader
}

// begin reads the start of a stream: what comes first, and on only as long as
// that is too short to say whether it can be unpacked.
func begin(from io.Reader) *begun {
	b := &begun{start: make([]byte, firstBlock), from: from}
	n := 0
	for b.err == nil && (n == 0 || mayBePacked(b.start[:n])) {
		var read int
		read, b.err = from.Read(b.start[n:])
		n += read
	}
	b.start = b.start[:n]
	return b
}

// mayBePacked tells whether it needs more bytes to be recognised.
func mayBePacked(start []byte) bool {
	if len(start) >= longestMagic {
		return false
	}
	for _, f := range forms {
		if f.at == 0 && strings.HasPrefix(f.magic, string(start[:min(len(start), len(f.magic))])) {
			return true
		}
	}
	return false
}

func (b *begun) Read(p []byte) (int, error) {
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

// text returns what a file or stream of that name holds, unpacked when that is
// possible, and an error when it is no text.
func text(name string, from io.Reader) (io.Reader, error) {
	content := begin(from)
	f, ok := formOf(content.start)
	switch {
	case !ok:
		return content, nil
	case f.packed == nil:
		return nil, f.refusal(name)
	}
	reader, err := f.packed(content)
	unpacked := unpacked{name, f.name, reader}
	if err != nil {
		return nil, unpacked.explain(err)
	}
	inside := begin(unpacked)
	if f, ok := formOf(inside.start); ok {
		return nil, fmt.Errorf("file: what is packed in %s is %s, not a log of lines", name, f.name)
	}
	return inside, nil
}
