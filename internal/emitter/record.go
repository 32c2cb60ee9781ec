package emitter

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	// recordWait is the time that a record of several lines waits for another line, and that the
	// unfinished last line of a rotated file waits for its end.
	recordWait = time.Second
	// maxRecordSpan bounds the bytes of a record's lines in the log; its text keeps maxLineBytes of
	// them.
	maxRecordSpan = 1 << 20
)

// logRecord is a message of a log: a line, or several.
type logRecord struct {
	text  []byte
	cut   bool
	lines int64
}

// recordReader groups the lines of an input into records. It buffers one record.
type recordReader struct {
	lines lineReader
	// firstLine matches the first line of a record; nil: each line is a record.
	firstLine *regexp.Regexp
	// current is the record that may continue; its lines are 0 if there is none. It shares spare
	// with the previously returned record.
	current logRecord
	spare   []byte
	// begin is the position of current, and end the position after the last returned record.
	begin, end int64
}

func newRecordReader(in input, firstLine *regexp.Regexp) recordReader {
	return recordReader{lines: lineReader{in: in}, firstLine: firstLine}
}

func compileFirstLine(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("MULTILINE: %q is not allowed: it must be a regular expression in the syntax of RE2: %w", pattern, err)
	}
	return compiled, nil
}

// next returns the next record, valid until the call after. Errors are those of lineReader.next;
// the last record is returned before the error that ends the input.
func (r *recordReader) next() (logRecord, error) {
	for {
		begin := r.lines.position
		line, cut, err := r.lines.next()
		switch {
		case errors.Is(err, errNoData):
			return logRecord{}, err
		case err != nil:
			if last, ok := r.take(); ok {
				return last, nil
			}
			return logRecord{}, err
		case r.firstLine == nil:
			r.end = r.lines.position
			return logRecord{text: line, cut: cut, lines: 1}, nil
		}
		var done logRecord
		if r.current.lines > 0 && (begin-r.begin >= maxRecordSpan || r.firstLine.Match(line)) {
			done, r.end = r.current, begin
			r.current, r.spare = logRecord{text: r.spare[:0]}, r.current.text
		}
		r.extend(line, cut, begin)
		if done.lines > 0 {
			return done, nil
		}
	}
}

// extend adds a line to the current record, up to the limits.
func (r *recordReader) extend(line []byte, cut bool, begin int64) {
	c := &r.current
	c.lines++
	if c.lines == 1 {
		r.begin = begin
		c.text, c.cut = append(c.text[:0], line...), cut
		return
	}
	if c.cut || len(c.text) >= maxLineBytes {
		c.cut = true
		return
	}
	c.text = append(c.text, '\n')
	if capacity := maxLineBytes - len(c.text); len(line) > capacity {
		line, cut = wholeRunes(line[:capacity]), true
	}
	c.text, c.cut = append(c.text, line...), cut
}

// pending reports whether a record waits for another line.
func (r *recordReader) pending() bool { return r.current.lines > 0 }

// take returns the record that waits for another line, although it may be incomplete.
func (r *recordReader) take() (logRecord, bool) {
	if r.current.lines == 0 {
		return logRecord{}, false
	}
	done := r.current
	r.end = r.lines.position
	r.current, r.spare = logRecord{text: r.spare[:0]}, done.text
	return done, true
}

// endInput adds the unfinished last line of an input to the current record.
func (r *recordReader) endInput() {
	begin := r.lines.position
	if rest, ok := r.lines.takeRest(); ok {
		r.extend(rest, false, begin)
	}
}
