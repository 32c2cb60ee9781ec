package emitter

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	// maxLineBytes is the maximum length of a line; the remainder is truncated.
	maxLineBytes = 256 << 10
	// maxPacketLineBytes is the maximum length of a line that is a packet.
	maxPacketLineBytes = 16 << 20
	readSize           = 64 << 10
)

// errNoData means that the input has no data now and may have later.
var errNoData = errors.New("nothing to read yet")

// input is the source of a log's bytes. Read returns errNoData as an error after which
// reading continues.
type input interface {
	io.ReadCloser
	// ready receives a value when there may be data to read; nil when the input
	// must be polled.
	ready() <-chan struct{}
}

// lineReader splits an input into lines. It buffers at most maxPacketLineBytes.
type lineReader struct {
	in input
	// buffer[from:] is read and not yet returned; its first scanned bytes hold
	// no line end.
	buffer        []byte
	from, scanned int
	// position is the number of bytes of the input that were returned or skipped.
	position int64
	// discarding is set while the rest of a truncated line is skipped.
	discarding bool
	// deferredErr is an error that was returned with bytes; terminalErr is the
	// error that ended the input.
	deferredErr, terminalErr error
}

// next returns the next line without its line end, valid until the next call,
// and whether the line was truncated. Errors are those of the input; after
// io.EOF or any unknown error there are no more lines.
func (r *lineReader) next() (line []byte, cut bool, err error) {
	for {
		if line, cut, ok := r.cutLine(); ok {
			return line, cut, nil
		}
		if r.terminalErr != nil {
			return nil, false, r.terminalErr
		}
		switch err := r.fill(); {
		case err == nil:
		case errors.Is(err, errNoData):
			return nil, false, err
		default:
			r.terminalErr = err
			if line, ok := r.takeRest(); ok {
				return line, false, nil
			}
		}
	}
}

// cutLine returns a line that ends within the buffer, or the kept part of a
// line that is too long.
func (r *lineReader) cutLine() (line []byte, cut, ok bool) {
	for {
		pending := r.buffer[r.from:]
		end := bytes.IndexByte(pending[r.scanned:], '\n')
		switch {
		case end < 0 && r.discarding:
			r.discard(len(pending))
			return nil, false, false
		case end < 0 && len(bytes.TrimSuffix(pending, []byte{'\r'})) > lineLimit(pending):
			r.discarding = true
			r.discard(len(pending))
			return wholeRunes(pending[:maxLineBytes]), true, true
		case end < 0:
			r.scanned = len(pending)
			return nil, false, false
		}
		end += r.scanned
		r.discard(end + 1)
		if r.discarding {
			r.discarding = false
			continue
		}
		line := bytes.TrimSuffix(pending[:end], []byte{'\r'})
		if len(line) > lineLimit(line) {
			return wholeRunes(line[:maxLineBytes]), true, true
		}
		return line, false, true
	}
}

// takeRest returns the last line when it has no line end.
func (r *lineReader) takeRest() (line []byte, ok bool) {
	rest := r.buffer[r.from:]
	r.discard(len(rest))
	if r.discarding || len(rest) == 0 {
		r.discarding = false
		return nil, false
	}
	return bytes.TrimSuffix(rest, []byte{'\r'}), true
}

func (r *lineReader) discard(n int) {
	r.from += n
	r.position += int64(n)
	r.scanned = 0
}

func (r *lineReader) fill() error {
	if err := r.deferredErr; err != nil {
		r.deferredErr = nil
		return err
	}
	if r.from > 0 {
		kept := copy(r.buffer, r.buffer[r.from:])
		r.buffer, r.from = r.buffer[:kept], 0
	}
	if cap(r.buffer)-len(r.buffer) < readSize {
		grown := make([]byte, len(r.buffer), max(2*cap(r.buffer), 2*readSize))
		copy(grown, r.buffer)
		r.buffer = grown
	}
	n, err := r.in.Read(r.buffer[len(r.buffer) : len(r.buffer)+readSize])
	r.buffer = r.buffer[:len(r.buffer)+n]
	if n > 0 {
		r.deferredErr, err = err, nil
	}
	return err
}

// lineLimit returns the maximum length of a line that starts with start.
func lineLimit(start []byte) int {
	if len(start) > 0 && start[0] == '{' {
		return maxPacketLineBytes
	}
	return maxLineBytes
}

// wholeRunes drops an incomplete character at the end.
func wholeRunes(text []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if last := text[len(text)-back:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return text[:len(text)-back]
			}
			break
		}
	}
	return text
}
