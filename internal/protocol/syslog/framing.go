package syslog

import "bytes"

// splitter finds frames in a stream, each with its own framing (RFC 6587): octet counting for a
// frame that begins with a number, otherwise a line that ends with LF or NUL. Frames that are too
// large are skipped.
type splitter struct {
	scanned  int  // bytes of the line that begins the data, without an end
	skip     int  // bytes that remain of a counted frame that is too large
	skipLine bool // until its end
	tooLarge int  // frames that were skipped
}

// split calls visit with the content of each frame at the beginning of data, and returns their
// length. If the data has ended, a line needs no end.
func (s *splitter) split(data []byte, ended bool, maxFrame int, visit func(content []byte)) (used int) {
	ends := lineEnds{data: data, lf: -1, nul: -1}
	for used < len(data) {
		switch {
		case s.skip > 0:
			n := min(s.skip, len(data)-used)
			s.skip -= n
			used += n
			continue
		case s.skipLine:
			end := ends.after(used)
			s.skipLine = end == len(data)
			used = min(end+1, len(data))
			continue
		}
		header, count, incomplete := parseCount(data[used:])
		switch {
		case incomplete && !ended:
			return used
		case count > maxFrame:
			s.tooLarge++
			s.skip = count
			used += header
		case count > 0:
			if len(data)-used-header < count {
				return used
			}
			visit(trimEnd(data[used+header : used+header+count]))
			used += header + count
		default:
			n, complete := s.line(&ends, used, maxFrame)
			if n == 0 && !ended {
				return used
			}
			if n == 0 {
				n = len(data) - used
			}
			if complete || n > 0 && !s.skipLine {
				visit(trimEnd(data[used : used+n]))
			}
			used += n
		}
	}
	return used
}

// line returns the length of the line at start, with its end, or 0 if the line is incomplete. It
// skips the available part of a line that is too large.
func (s *splitter) line(ends *lineEnds, start, maxFrame int) (length int, complete bool) {
	end := ends.after(start + s.scanned)
	if end-start > maxFrame {
		s.tooLarge++
		s.scanned, s.skipLine = 0, true
		return min(maxFrame, end-start), false
	}
	if end == len(ends.data) {
		s.scanned = end - start
		return 0, false
	}
	s.scanned = 0
	return end + 1 - start, true
}

// parseCount parses a length and the space behind it. It returns 0 if there is none.
func parseCount(data []byte) (header, count int, incomplete bool) {
	const maxLength = len("1000000000")
	if data[0] < '1' || data[0] > '9' {
		return 0, 0, false
	}
	for n, c := range data[:min(len(data), maxLength)] {
		switch {
		case isDigit(c):
			count = 10*count + int(c-'0')
		case c == ' ':
			return n + 1, count, false
		default:
			return 0, 0, false
		}
	}
	return 0, 0, len(data) < maxLength
}

// lineEnds finds the ends of lines in one pass for each of the two bytes.
type lineEnds struct {
	data    []byte
	lf, nul int // the next of each, len(data) for none
}

// after returns the position of the first end of a line at or after start, or len(data).
func (e *lineEnds) after(start int) int {
	e.lf = e.next(e.lf, start, '\n')
	e.nul = e.next(e.nul, start, 0)
	return min(e.lf, e.nul)
}

func (e *lineEnds) next(known, start int, end byte) int {
	if known >= start {
		return known
	}
	if n := bytes.IndexByte(e.data[start:], end); n >= 0 {
		return start + n
	}
	return len(e.data)
}

// trimEnd removes the ends of lines that senders leave in a frame.
func trimEnd(content []byte) []byte {
	for len(content) > 0 {
		switch content[len(content)-1] {
		case '\n', '\r', 0:
			content = content[:len(content)-1]
		default:
			return content
		}
	}
	return content
}
