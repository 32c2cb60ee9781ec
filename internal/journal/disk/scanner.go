package disk

import (
	"bytes"
	"errors"
	"io"
)

// scanner reads the records of a segment in order. What is not a record is
// reported as damage, and the next whole record is looked for.
type scanner struct {
	source io.ReaderAt
	end    int64 // where to stop
	offset int64 // of what next returns
	buffer []byte
	start  int64 // offset of buffer[0]
}

// scanWindow is how much a scanner reads at once; larger records make it grow.
const scanWindow = 1 << 20

// item is one thing that a scanner found.
type item struct {
	offset, bytes int64
	record        // its slices are valid until the next call
	damaged       bool
	// The rest describes damage that no whole record follows.
	atEnd bool
	// unfinished: it looks like a commit whose writing was cut short, so that
	// nothing of it was accepted.
	unfinished bool
	packets    uint64 // how many packets seem to have been in it
}

// reset makes the scanner read from another place; the buffer is kept.
func (s *scanner) reset(source io.ReaderAt, from, to int64) {
	s.source, s.offset, s.end = source, from, to
	s.buffer, s.start = s.buffer[:0], from
}

// next returns the next item, and io.EOF when nothing but zeros follows.
// Another error means that the segment cannot be read from offset on.
func (s *scanner) next() (item, error) {
	r, size, err := s.recordAt(s.offset)
	if err != nil {
		return item{}, err
	}
	from := s.offset
	if size > 0 {
		s.offset += size
		return item{offset: from, bytes: size, record: r}, nil
	}
	found, err := s.findRecord(from + 1)
	if err != nil {
		return item{}, err
	}
	s.offset = found
	if found < s.end {
		return item{offset: from, bytes: found - from, damaged: true}, nil
	}
	return s.tail(from)
}

// recordAt returns the record at an offset and its size, 0 if there is none.
func (s *scanner) recordAt(offset int64) (record, int64, error) {
	header, err := s.window(offset, recordHeaderBytes)
	if err != nil {
		return record{}, 0, err
	}
	size := recordLength(header)
	if size == 0 || offset+size > s.end {
		return record{}, 0, nil
	}
	whole, err := s.window(offset, size)
	if err != nil || int64(len(whole)) < size {
		return record{}, 0, err
	}
	r, ok := parseRecord(whole[:size])
	if !ok {
		return record{}, 0, nil
	}
	return r, size, nil
}

// findRecord returns the offset of the first whole record at or after offset,
// or the end.
func (s *scanner) findRecord(offset int64) (int64, error) {
	for offset < s.end {
		window, err := s.window(offset, recordHeaderBytes)
		if err != nil {
			return 0, err
		}
		at := bytes.Index(window, recordMagic)
		if at < 0 {
			offset += int64(max(1, len(window)-len(recordMagic)+1))
			continue
		}
		offset += int64(at)
		_, size, err := s.recordAt(offset)
		if err != nil {
			return 0, err
		}
		if size > 0 {
			return offset, nil
		}
		offset++
	}
	return s.end, nil
}

// tail describes what stands between the last record and the end.
func (s *scanner) tail(from int64) (item, error) {
	header, err := s.window(from, recordHeaderBytes)
	if err != nil {
		return item{}, err
	}
	// A packet ends in a brace. A record that reaches its end, or ends like
	// that, was written whole and has been damaged since.
	whole := max(recordHeaderBytes, recordLength(header))
	isAcks := len(header) >= recordHeaderBytes && recordKind(header[5]) == kindAcks
	tail := item{offset: from, damaged: true, atEnd: true}
	var last byte
	for offset := from; offset < s.end; {
		window, err := s.window(offset, 1)
		if err != nil {
			return item{}, err
		}
		if used := len(bytes.TrimRight(window, "\x00")); used > 0 {
			tail.bytes, last = offset+int64(used)-from, window[used-1]
		}
		tail.packets += uint64(bytes.Count(window, recordMagic))
		offset += int64(len(window))
	}
	if tail.bytes == 0 {
		return item{}, io.EOF
	}
	tail.unfinished = tail.bytes < whole && last != '}'
	tail.packets = max(1, tail.packets)
	if isAcks {
		tail.packets = 0
	}
	return tail, nil
}

// window returns the bytes at an offset: at least n of them, unless the end is
// nearer.
func (s *scanner) window(offset, n int64) ([]byte, error) {
	n = min(n, s.end-offset)
	have := s.start + int64(len(s.buffer)) - offset
	if offset < s.start || have < n {
		if err := s.fill(offset, max(n, min(scanWindow, s.end-offset))); err != nil {
			return nil, err
		}
	}
	return s.buffer[offset-s.start:], nil
}

func (s *scanner) fill(offset, n int64) error {
	if int64(cap(s.buffer)) < n {
		s.buffer = make([]byte, 0, n)
	}
	read, err := s.source.ReadAt(s.buffer[:n], offset)
	s.buffer, s.start = s.buffer[:read], offset
	if errors.Is(err, io.EOF) {
		s.end = min(s.end, offset+int64(read))
		return nil
	}
	return err
}
