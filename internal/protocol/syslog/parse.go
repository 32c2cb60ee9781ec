package syslog

import (
	"bytes"
	"time"
)

// line is a parsed message in the format of RFC 5424 or RFC 3164. Missing parts are empty.
type line struct {
	priority    int   // facility and severity, or -1
	nanoseconds int64 // since 1970, or 0 without a timestamp
	host        []byte
	app         []byte
	proc        []byte
	id          []byte
	structured  []byte // well-formed elements
	text        []byte
}

// parse parses a message. In a message with neither format the text is the whole message, or all of
// it behind the priority: no data is dropped.
func parse(message []byte, arrival time.Time, calendar *calendar) line {
	priority, rest := parsePriority(message)
	l := line{priority: priority}
	if priority >= 0 && l.parse5424(rest) {
		return l
	}
	l = line{priority: priority, text: rest}
	l.parse3164(rest, arrival, calendar)
	return l
}

// parsePriority returns -1 and the whole message if the message does not begin with a priority.
func parsePriority(message []byte) (priority int, rest []byte) {
	const maxPriority = 191 // facility 23, severity 7
	if len(message) < len("<0>") || message[0] != '<' {
		return -1, message
	}
	for n := 1; n < len(message) && n <= len("<191"); n++ {
		c := message[n]
		switch {
		case isDigit(c):
			priority = 10*priority + int(c-'0')
		case c == '>' && n > 1 && priority <= maxPriority:
			return priority, message[n+1:]
		default:
			return -1, message
		}
	}
	return -1, message
}

// parse5424 parses the text behind the priority as RFC 5424, and reports false if it is in another
// format.
func (l *line) parse5424(text []byte) bool {
	version, rest, ok := field(text)
	if !ok || len(version) > 2 || version[0] < '1' || version[0] > '9' || !isDigit(version[len(version)-1]) {
		return false
	}
	if len(rest) > 1 && rest[0] == '-' && rest[1] == ' ' {
		rest = rest[2:]
	} else {
		nanoseconds, after, ok := parseRFC3339(rest)
		if !ok || len(after) == 0 || after[0] != ' ' {
			return false
		}
		l.nanoseconds, rest = nanoseconds, after[1:]
	}
	for _, part := range []*[]byte{&l.host, &l.app, &l.proc, &l.id} {
		if *part, rest, ok = field(rest); !ok {
			return false
		}
		if len(*part) == 1 && (*part)[0] == '-' {
			*part = nil
		}
	}
	return l.parseStructured(rest)
}

// field returns the text before the first space, which must not be empty.
func field(text []byte) (field, rest []byte, ok bool) {
	n := bytes.IndexByte(text, ' ')
	if n <= 0 {
		return nil, nil, false
	}
	return text[:n], text[n+1:], true
}

// parseStructured reads structured data and the text behind it.
func (l *line) parseStructured(rest []byte) bool {
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	} else {
		length := lengthOfStructured(rest)
		if length == 0 {
			return false
		}
		l.structured, rest = rest[:length], rest[length:]
	}
	if len(rest) == 0 {
		return true
	}
	l.text = bytes.TrimPrefix(rest[1:], byteOrderMark)
	return rest[0] == ' '
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// parse3164 parses the text behind the priority as RFC 3164, or as a similar format: a timestamp, a
// host, a tag with an optional process id. Each of them may be missing, as in real messages.
func (l *line) parse3164(text []byte, arrival time.Time, calendar *calendar) {
	nanoseconds, after, ok := calendar.parse(text, arrival)
	if !ok {
		nanoseconds, after, ok = parseRFC3339(text)
	}
	if ok && len(after) > 0 && after[0] == ' ' {
		l.nanoseconds, l.text = nanoseconds, after[1:]
		host, rest, found := field(after[1:])
		if found && !isTag(host) {
			l.host, l.text = host, rest
		}
	}
	l.text = bytes.TrimPrefix(l.text, byteOrderMark)
	if l.priority >= 0 || l.nanoseconds != 0 {
		l.parseTag()
	}
}

// isTag reports whether the word behind a timestamp is a tag rather than a host.
func isTag(word []byte) bool {
	return word[len(word)-1] == ':' || bytes.IndexByte(word, '[') > 0
}

// parseTag takes the tag off the text: a name, a process id in brackets or a colon, or both.
func (l *line) parseTag() {
	const maxBytes = 128 // RFC 3164 has 32
	text := l.text
	n := 0
	for n < len(text) && n < maxBytes && text[n] > ' ' && text[n] != ':' && text[n] != '[' {
		n++
	}
	if n == 0 || n == len(text) || n == maxBytes {
		return
	}
	app, rest := text[:n], text[n:]
	var proc []byte
	if rest[0] == '[' {
		end := bytes.IndexByte(rest[:min(len(rest), maxBytes)], ']')
		if end < 2 || bytes.IndexByte(rest[:end], ' ') >= 0 {
			return
		}
		proc, rest = rest[1:end], rest[end+1:]
	}
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	} else if proc == nil {
		return
	}
	if len(rest) > 0 {
		if rest[0] != ' ' {
			return
		}
		rest = rest[1:]
	}
	l.app, l.proc, l.text = app, proc, rest
}
