package packet

import "bytes"

// Lines walks over the lines of newline-delimited JSON without copying them.
// Lines may end in \n or \r\n, and the last one need not end at all. It may
// not be used concurrently.
type Lines struct {
	rest   []byte
	number int
}

// LinesOf returns the lines of body.
func LinesOf(body []byte) Lines { return Lines{rest: body} }

// Next returns the next line that is not blank, without its ending and as a
// part of the body, and its number in the body, from 1 and counting blank
// lines. It returns false after the last one.
func (l *Lines) Next() (line []byte, number int, ok bool) {
	for len(l.rest) > 0 {
		line, l.rest, _ = bytes.Cut(l.rest, []byte{'\n'})
		l.number++
		if !isBlank(line) {
			return bytes.TrimSuffix(line, []byte{'\r'}), l.number, true
		}
	}
	return nil, 0, false
}

// CountLines returns how many lines body has, blank ones and all.
func CountLines(body []byte) int {
	lines := bytes.Count(body, []byte{'\n'})
	if len(body) > 0 && body[len(body)-1] != '\n' {
		lines++
	}
	return lines
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
