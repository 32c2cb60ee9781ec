package emitter

import (
	"path/filepath"
	"strings"
	"time"
)

// parser turns one line of a log into a record, whatever the line's format: it
// is recognised line by line. Not for concurrent use.
type parser struct {
	// location is where times without a zone were written.
	location *time.Location
	// now is what to take for the time of a first line without one, and what
	// the year of a time without one is guessed from.
	now func() time.Time
	// service is what a line belongs to that names no service; may be empty.
	service string
	syslog  syslogParser
	// last is the time of the line before, in milliseconds: lines without a
	// time, such as those of a stack trace, belong to it.
	last int64
}

// newParser returns a parser for the log of that name; written is when it was
// last changed, or zero when it is being written.
func newParser(file string, written time.Time) parser {
	p := parser{location: time.Local, now: time.Now, service: serviceName(file), syslog: newSyslogParser()}
	if !written.IsZero() {
		p.now = func() time.Time { return written }
	}
	return p
}

// serviceName is a file's name without what log rotation and packing add.
func serviceName(file string) string {
	if file == "" || file == standardInput {
		return ""
	}
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ToValidUTF8(name, "\uFFFD")
}

// parse never fails: what it does not understand is plain text. The line is
// valid UTF-8 and has a character that is not white space.
func (p *parser) parse(line string) record {
	r, ok := p.parseJSON(line)
	if !ok {
		r, ok = p.parseSyslog(line)
	}
	if !ok {
		r, ok = p.parseLogfmt(line)
	}
	if !ok {
		r = p.parseText(line)
	}
	return p.complete(r, line)
}

// complete sees to it that the record has all that a message must have.
func (p *parser) complete(r record, line string) record {
	if strings.TrimSpace(r.text) == "" {
		r.text = line
	}
	if r.level == "" {
		r.level = findLevel(r.text)
	}
	if r.level == "" {
		r.level = "INFO"
	}
	if r.time <= 0 {
		r.time = p.last
	}
	if r.time <= 0 {
		r.time = max(1, p.now().UnixMilli())
	}
	p.last = r.time
	return r
}
