package emitter

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

const gzipMagic = "\x1f\x8b"

// plain returns what a stream of that name holds, unpacked when it is gzip.
func plain(name string, from io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(from)
	if start, _ := buffered.Peek(len(gzipMagic)); !bytes.Equal(start, []byte(gzipMagic)) {
		return buffered, nil
	}
	return unpack(name, buffered)
}

// unpacked is the content of a gzip file or stream.
type unpacked struct {
	name string
	from *gzip.Reader
}

func unpack(name string, from io.Reader) (unpacked, error) {
	reader, err := gzip.NewReader(from)
	u := unpacked{name, reader}
	return u, u.explain(err)
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
	return fmt.Errorf("file: %s: reading it as gzip: %w", u.name, err)
}
