package emitter

import "strings"

// timeSearch is how far into a line a time that is not at its start may be.
const timeSearch = 100

// parseText reads a line of no known structure. Its message is the line, less
// the time that it starts with.
func (p *parser) parseText(line string) record {
	r := record{text: line}
	if p.service != "" {
		r.metadata = map[string]string{"service": p.service}
	}
	milliseconds, length, ok := timePrefix(line, p.location, p.now())
	if !ok {
		r.time = p.timeWithin(line)
		r.level = accessLevel(line)
		return r
	}
	r.time = milliseconds
	r.text = strings.TrimLeft(line[length:], " \t,;")
	if line[0] >= 'A' && line[1] >= '0' && line[1] <= '9' { // glog: E0102 15:04:05
		r.level = letterLevel(line[0])
	} else {
		r.level = lettered(r.text)
	}
	return r
}

// timeWithin returns the time that stands in brackets, after a line's first
// word or after its first colon, or 0.
func (p *parser) timeWithin(line string) int64 {
	start := line[:min(len(line), timeSearch)]
	for _, mark := range []string{"[", " ", ": "} {
		at := strings.Index(start, mark)
		if at < 0 {
			continue
		}
		if milliseconds, _, ok := timePrefix(line[at+len(mark):], p.location, p.now()); ok {
			return milliseconds
		}
	}
	return 0
}

// lettered returns the level of a text such as "1234 1240 E Tag: message":
// numbers, and then a letter on its own.
func lettered(text string) string {
	text = strings.TrimLeft(text, "0123456789 ")
	if len(text) > 1 && (text[1] == ' ' || text[1] == '/') {
		return letterLevel(text[0])
	}
	return ""
}

// accessLevel returns the level of a web server's access log line by its
// status, and "" when the line is none.
func accessLevel(line string) string {
	_, request, ok := strings.Cut(line, `] "`)
	if !ok {
		return ""
	}
	_, rest, ok := strings.Cut(request, `" `)
	if !ok || len(rest) < 4 || rest[3] != ' ' {
		return ""
	}
	switch status := rest[:3]; {
	case status >= "500" && status <= "599":
		return "ERROR"
	case status >= "400" && status < "500":
		return "WARN"
	case status >= "100" && status < "400":
		return "INFO"
	}
	return ""
}
