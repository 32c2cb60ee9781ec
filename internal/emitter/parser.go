package emitter

import (
	"path/filepath"
	"strings"
	"time"
)

// parser converts log lines to records. The format is detected per line. Not
// for concurrent use.
type parser struct {
	// location is the time zone of timestamps without one.
	location *time.Location
	// now returns the timestamp of a first line without one, and the reference
	// for timestamps without a year.
	now func() time.Time
	// service is the service of lines that name none; may be empty.
	service string
	syslog  syslogParser
	// last is the timestamp of the previous line in milliseconds; lines without
	// one, such as those of a stack trace, inherit it.
	last int64
}

// newParser returns a parser for the log of that name; written is the
// modification time, or zero for a log that is being written.
func newParser(file string, written time.Time) parser {
	p := parser{location: time.Local, now: time.Now, service: serviceName(file), syslog: newSyslogParser()}
	if !written.IsZero() {
		p.now = func() time.Time { return written }
	}
	return p
}

// serviceName returns a file's name without the suffixes of log rotation and
// compression.
func serviceName(file string) string {
	if file == "" || file == standardInput {
		return ""
	}
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ToValidUTF8(name, "\uFFFD")
}

// parse never fails: unknown formats are plain text. The line is valid UTF-8
// and has a character that is not white space.
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

// complete sets the members that a message requires.
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
