package emitter

import "strings"

// maxTimeOffset is how far into a line a timestamp is searched, in bytes.
const maxTimeOffset = 100

// parseText parses a line of unknown format. The message is the line without a
// leading timestamp.
func (p *parser) parseText(line string) record {
	r := record{text: line}
	if p.service != "" {
		r.metadata = map[string]string{"service": p.service}
	}
	milliseconds, length, ok := timePrefix(line, p.location, p.now())
	if !ok {
		r.time = p.timeInside(line)
		r.level = accessLevel(line)
		return r
	}
	r.time = milliseconds
	r.text = strings.TrimLeft(line[length:], " \t,;")
	if line[0] >= 'A' && line[1] >= '0' && line[1] <= '9' { // glog: E0102 15:04:05
		r.level = letterLevel(line[0])
	} else {
		r.level = singleLetterLevel(r.text)
	}
	return r
}

// timeInside returns the timestamp in brackets, after the first word or after
// the first colon, or 0.
func (p *parser) timeInside(line string) int64 {
	start := line[:min(len(line), maxTimeOffset)]
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

// singleLetterLevel returns the level of a text such as "1234 1240 E Tag:
// message": numbers followed by a single letter.
func singleLetterLevel(text string) string {
	text = strings.TrimLeft(text, "0123456789 ")
	if len(text) > 1 && (text[1] == ' ' || text[1] == '/') {
		return letterLevel(text[0])
	}
	return ""
}

// accessLevel returns the level of a web server's access log line by its
// status, and "" for other lines.
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
