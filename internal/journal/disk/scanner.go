package disk

import (
	"bytes"
	"errors"
	"io"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// scanner reads the records of a segment in order. It reports invalid bytes as damage and
// continues at the next valid record.
type scanner struct {
	source io.ReaderAt
	end    int64
	offset int64 // of the next item
	buffer []byte
	start  int64 // offset of buffer[0]
	bad    badExtents
}

// scanWindow is the minimum buffer size; larger records enlarge the buffer.
const scanWindow = 1 << 20

// item is a record or damage.
type item struct {
	offset, bytes int64
	record        // its slices are valid until the next call
	damaged       bool
	readErr       error // why a part of the damage could not be read, if so
	// The following fields describe damage that no valid record follows.
	atEnd      bool
	unfinished bool   // probably an incomplete write, without accepted packets
	packets    uint64 // maximum number of packets in it
}

// volume returns the volume of a packet's record.
func (i item) volume() packet.Volume {
	return packet.Volume{Packets: 1, Messages: int64(i.messages), Bytes: int64(len(i.body))}
}

// reset makes the scanner read another range and reuses the buffer.
func (s *scanner) reset(source io.ReaderAt, from, to int64) {
	s.source, s.offset, s.end = source, from, to
	s.buffer, s.start = s.buffer[:0], from
	s.bad = badExtents{}
}

// next returns the next item, or false if only zeros follow. Read errors are damage.
func (s *scanner) next() (found item, ok bool) {
	from := s.offset
	r, size := s.recordAt(from)
	if size > 0 {
		s.offset += size
		return item{offset: from, bytes: size, record: r}, true
	}
	s.offset = s.findRecord(from + 1)
	if s.offset >= s.end {
		return s.tail(from)
	}
	found = item{offset: from, bytes: s.offset - from, damaged: true}
	if unread, _ := s.bad.within(from, s.offset); unread > 0 {
		found.readErr = s.bad.cause
	}
	return found, true
}

// recordAt returns the record at an offset and its size, or 0 if there is none.
func (s *scanner) recordAt(offset int64) (record, int64) {
	size := recordLength(s.window(offset, recordHeaderBytes))
	if size == 0 || offset+size > s.end {
		return record{}, 0
	}
	whole := s.window(offset, size)
	if int64(len(whole)) < size {
		return record{}, 0
	}
	r, ok := parseRecord(whole[:size])
	if !ok {
		return record{}, 0
	}
	return r, size
}

// findRecord returns the offset of the first valid record at or after offset, or the
// end.
func (s *scanner) findRecord(offset int64) int64 {
	for offset < s.end {
		window := s.window(offset, recordHeaderBytes)
		at := bytes.Index(window, recordMagic)
		if at < 0 {
			offset += int64(max(1, len(window)-len(recordMagic)+1))
			continue
		}
		offset += int64(at)
		if _, size := s.recordAt(offset); size > 0 {
			return offset
		}
		offset++
	}
	return s.end
}

// tail describes the bytes between the last record and the end.
func (s *scanner) tail(from int64) (found item, ok bool) {
	header := s.window(from, recordHeaderBytes)
	// A packet ends with a brace. A record of its full length, or with a brace at its
	// end, was written completely and damaged later.
	whole := max(recordHeaderBytes, recordLength(header))
	isAcks := len(header) >= recordHeaderBytes && recordKind(header[5]) == kindAcks || s.hasFooterMark(from)
	tail := item{offset: from, damaged: true, atEnd: true}
	var last byte
	for offset := from; offset < s.end; {
		window := s.window(offset, 1)
		if used := len(bytes.TrimRight(window, "\x00")); used > 0 {
			tail.bytes, last = offset+int64(used)-from, window[used-1]
		}
		tail.packets += uint64(bytes.Count(window, recordMagic))
		offset += int64(len(window))
	}
	if unread, end := s.bad.within(from, s.end); unread > 0 {
		tail.bytes, tail.readErr = max(tail.bytes, end-from), s.bad.cause
		tail.packets += uint64(unread)/recordHeaderBytes + 1
		return tail, true
	}
	if tail.bytes == 0 {
		return item{}, false
	}
	tail.unfinished = tail.bytes < whole && last != '}'
	tail.packets = max(1, tail.packets)
	if isAcks {
		tail.packets = 0
	}
	return tail, true
}

// hasFooterMark reports whether the record at an offset, whose header may be damaged, is a
// footer.
func (s *scanner) hasFooterMark(offset int64) bool {
	window := s.window(offset, recordHeaderBytes+int64(len(footerMark)))
	return len(window) > recordHeaderBytes && bytes.HasPrefix(window[recordHeaderBytes:], []byte(footerMark))
}

// window returns at least n bytes at an offset, fewer only before the end.
func (s *scanner) window(offset, n int64) []byte {
	n = min(n, s.end-offset)
	have := s.start + int64(len(s.buffer)) - offset
	if offset < s.start || have < n {
		s.fill(offset, max(n, min(scanWindow, s.end-offset)))
	}
	return s.buffer[offset-s.start:]
}

func (s *scanner) fill(offset, n int64) {
	if int64(cap(s.buffer)) < n {
		s.buffer = make([]byte, 0, n)
	}
	read, err := s.bad.read(s.source, s.buffer[:n], offset)
	s.buffer, s.start = s.buffer[:read], offset
	if errors.Is(err, io.EOF) {
		s.end = min(s.end, offset+int64(read))
	}
}
