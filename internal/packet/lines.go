package packet

import "bytes"

// Lines iterates over lines of newline-delimited JSON without copying. Lines end in
// \n or \r\n; the last line may be unterminated. It must not be used concurrently.
type Lines struct {
	rest   []byte
	number int
}

// LinesOf returns the lines of body.
func LinesOf(body []byte) Lines { return Lines{rest: body} }

// Next returns the next line that is not blank, as a subslice of the body without
// its ending, and its number, from 1 and counting blank lines. It returns false
// after the last line.
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

// CountLines returns the number of lines in body, including blank ones.
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
