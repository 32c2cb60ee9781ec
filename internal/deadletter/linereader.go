package deadletter

import (
	"bufio"
	"errors"
	"io"
)

// lineReader reads lines of bounded length.
type lineReader struct {
	reader *bufio.Reader
	max    int    // bytes of a line
	buffer []byte // of a line that is longer than the reader's buffer
	offset int64  // of the next line
}

func newLineReader(r io.Reader, max int, offset int64) *lineReader {
	return &lineReader{reader: bufio.NewReaderSize(r, 64<<10), max: max, offset: offset}
}

// next returns the next line without its break, which is valid until the next call, and
// its offset. A line that is too long is skipped and returned as nil. A last line
// without a break is being written, or torn, and is not returned.
func (l *lineReader) next() (text []byte, at int64, err error) {
	at = l.offset
	l.buffer = l.buffer[:0]
	tooLong := false
	for {
		part, err := l.reader.ReadSlice('\n')
		l.offset += int64(len(part))
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full {
			return nil, at, err
		}
		tooLong = tooLong || len(l.buffer)+len(part) > l.max
		switch {
		case tooLong && full:
		case tooLong:
			return nil, at, nil
		case full:
			l.buffer = append(l.buffer, part...)
		case len(l.buffer) > 0:
			l.buffer = append(l.buffer, part...)
			return l.buffer[:len(l.buffer)-1], at, nil
		default:
			return part[:len(part)-1], at, nil
		}
	}
}
