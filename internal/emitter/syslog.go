package emitter

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	syslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// syslogParser parses syslog lines of RFC 5424 and RFC 3164, and lines of
// syslog files, which are RFC 3164 without the priority and perhaps with a time
// of RFC 3339.
type syslogParser struct {
	current syslog.Machine
	// traditional matches the part after the time: host, application, process
	// id and message.
	traditional *regexp.Regexp
}

func newSyslogParser() syslogParser {
	return syslogParser{
		current:     rfc5424.NewParser(),
		traditional: regexp.MustCompile(`^ ([A-Za-z0-9._:-]+) ([^\s:\[\]]{1,64})(?:\[([^\]\s]{1,32})\])?: ?(.*)$`),
	}
}

func (p *parser) parseSyslog(line string) (record, bool) {
	priority, rest, ok := cutPriority(line)
	if !ok {
		return p.parseTraditional(line)
	}
	if strings.HasPrefix(rest, "1 ") {
		if r, ok := p.parseCurrent(line); ok {
			return r, true
		}
	}
	r, ok := p.parseTraditional(rest)
	if !ok {
		r = p.parseText(rest)
	}
	r.level = severityLevel(priority % 8)
	r.metadata = setMetadata(r.metadata, "facility", facilityName(priority/8))
	return r, true
}

// cutPriority splits "<165>rest".
func cutPriority(line string) (priority int, rest string, ok bool) {
	if !strings.HasPrefix(line, "<") {
		return 0, "", false
	}
	digits, rest, ok := strings.Cut(line[1:], ">")
	if !ok || len(digits) < 1 || len(digits) > 3 || digits[0] < '0' || digits[0] > '9' || strings.TrimSpace(rest) == "" {
		return 0, "", false
	}
	priority, err := strconv.Atoi(digits)
	return priority, rest, err == nil && priority <= 191
}

// parseCurrent parses RFC 5424.
func (p *parser) parseCurrent(line string) (record, bool) {
	parsed, err := p.syslog.current.Parse([]byte(line))
	m, ok := parsed.(*rfc5424.SyslogMessage)
	if !ok || err != nil || m.Priority == nil {
		return record{}, false
	}
	r := record{level: severityLevel(int(*m.Priority) % 8)}
	if m.Message != nil {
		r.text = strings.TrimPrefix(*m.Message, "\uFEFF")
	}
	if m.Timestamp != nil {
		r.time = m.Timestamp.UnixMilli()
	}
	r.metadata = setMetadata(nil, "facility", facilityName(int(*m.Priority)/8))
	for key, value := range map[string]*string{"host": m.Hostname, "service": m.Appname, "pid": m.ProcID, "msgid": m.MsgID} {
		if value != nil {
			r.metadata = setMetadata(r.metadata, key, *value)
		}
	}
	if m.StructuredData != nil {
		for id, parameters := range *m.StructuredData {
			for name, value := range parameters {
				r.metadata = setMetadata(r.metadata, id+"."+name, value)
			}
		}
	}
	return r, true
}

// parseTraditional parses "Jan _2 15:04:05 host application[pid]: message" and
// the same with a time of RFC 3339.
func (p *parser) parseTraditional(line string) (record, bool) {
	if len(line) < len(time.Stamp) || line[10] != 'T' && line[3] != ' ' {
		return record{}, false
	}
	milliseconds, length, ok := timePrefix(line, p.location, p.now())
	if !ok {
		return record{}, false
	}
	parts := p.syslog.traditional.FindStringSubmatch(line[length:])
	if parts == nil || namedLevel(parts[1]) != "" || namedLevel(parts[2]) != "" {
		return record{}, false
	}
	r := record{time: milliseconds, text: parts[4]}
	for i, key := range []string{"host", "service", "pid"} {
		if parts[i+1] != "" {
			r.metadata = setMetadata(r.metadata, key, parts[i+1])
		}
	}
	return r, true
}

func setMetadata(metadata map[string]string, key, value string) map[string]string {
	if metadata == nil {
		metadata = make(map[string]string)
	}
	metadata[key] = value
	return metadata
}

func severityLevel(severity int) string {
	switch severity {
	case 0, 1, 2:
		return "CRITICAL"
	case 3:
		return "ERROR"
	case 4:
		return "WARN"
	case 5:
		return "NOTICE"
	case 6:
		return "INFO"
	}
	return "DEBUG"
}

func facilityName(number int) string {
	names := [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
	return names[number]
}
