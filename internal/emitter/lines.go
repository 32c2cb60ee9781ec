package emitter

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	// maxLine is how much of a line is kept, in bytes.
	maxLine = 256 << 10
	// maxPacketLine is how long a line may be that holds a whole packet.
	maxPacketLine = 16 << 20
	readSize      = 64 << 10
)

var (
	// errNothingYet says that the input has nothing now and may have later.
	errNothingYet = errors.New("nothing to read yet")
	// errNewFile says that what follows is another file, so that a line that
	// was begun ends here.
	errNewFile = errors.New("the file was replaced")
)

// input is where a log's bytes come from. Its Read is io.Reader's, with
// errNothingYet and errNewFile as further errors after which reading goes on.
type input interface {
	io.ReadCloser
	// arrived receives a value when there may be something to read again; nil
	// when that can only be found out by reading.
	arrived() <-chan struct{}
}

// lineReader cuts an input into lines. It holds at most maxPacketLine bytes.
type lineReader struct {
	in input
	// buffer[from:] is read and not yet handed out; the first scanned bytes of
	// that hold no line end.
	buffer        []byte
	from, scanned int
	// inside is set while the rest of a line that was cut is thrown away.
	inside bool
	// later is an error that came along with bytes; failed is the one that ended
	// the input.
	later, failed error
}

// next returns the next line without its line end, valid until the next call,
// and whether it was cut. Errors are those of the input; after io.EOF or any
// unknown error there are no more lines.
func (r *lineReader) next() (line []byte, cut bool, err error) {
	for {
		if line, cut, ok := r.take(); ok {
			return line, cut, nil
		}
		if r.failed != nil {
			return nil, false, r.failed
		}
		switch err := r.fill(); {
		case err == nil:
		case errors.Is(err, errNothingYet):
			return nil, false, err
		default:
			if !errors.Is(err, errNewFile) {
				r.failed = err
			}
			if line, ok := r.takeRest(); ok {
				return line, false, nil
			}
		}
	}
}

// take returns a line that ends within the buffer, or the kept part of one
// that is too long.
func (r *lineReader) take() (line []byte, cut, ok bool) {
	for {
		pending := r.buffer[r.from:]
		end := bytes.IndexByte(pending[r.scanned:], '\n')
		switch {
		case end < 0 && r.inside:
			r.discard(len(pending))
			return nil, false, false
		case end < 0 && len(bytes.TrimSuffix(pending, []byte{'\r'})) > lineLimit(pending):
			r.inside = true
			r.discard(len(pending))
			return wholeRunes(pending[:maxLine]), true, true
		case end < 0:
			r.scanned = len(pending)
			return nil, false, false
		}
		end += r.scanned
		r.discard(end + 1)
		if r.inside {
			r.inside = false
			continue
		}
		line := bytes.TrimSuffix(pending[:end], []byte{'\r'})
		if len(line) > lineLimit(line) {
			return wholeRunes(line[:maxLine]), true, true
		}
		return line, false, true
	}
}

// takeRest returns the last line when it has no line end.
func (r *lineReader) takeRest() (line []byte, ok bool) {
	rest := r.buffer[r.from:]
	r.discard(len(rest))
	if r.inside || len(rest) == 0 {
		r.inside = false
		return nil, false
	}
	return bytes.TrimSuffix(rest, []byte{'\r'}), true
}

func (r *lineReader) discard(n int) {
	r.from += n
	r.scanned = 0
}

func (r *lineReader) fill() error {
	if err := r.later; err != nil {
		r.later = nil
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
		r.later, err = err, nil
	}
	return err
}

// lineLimit is how long the line may be that starts so.
func lineLimit(start []byte) int {
	if len(start) > 0 && start[0] == '{' {
		return maxPacketLine
	}
	return maxLine
}

// wholeRunes drops a character that a cut left incomplete at the end.
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
