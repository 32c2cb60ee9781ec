package record

import (
	"bytes"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// The names of levels in packets.
const (
	Trace    = "TRACE"
	Debug    = "DEBUG"
	Info     = "INFO"
	Notice   = "NOTICE"
	Warn     = "WARN"
	Error    = "ERROR"
	Critical = "CRITICAL"
	Fatal    = "FATAL"
)

// SyslogLevel returns the level of a severity of RFC 5424, 0 to 7, or "" for other numbers.
func SyslogLevel(severity int) string {
	levels := [...]string{Fatal, Critical, Critical, Error, Warn, Notice, Info, Debug}
	if severity < 0 || severity >= len(levels) {
		return ""
	}
	return levels[severity]
}

// PinoLevel returns the level of a number of pino or bunyan, 10 to 60, or "" for other numbers.
func PinoLevel(number int) string {
	switch number {
	case 10:
		return Trace
	case 20:
		return Debug
	case 30:
		return Info
	case 40:
		return Warn
	case 50:
		return Error
	case 60:
		return Fatal
	default:
		return ""
	}
}

// OTLPLevel returns the level of a SeverityNumber of OTLP, 1 to 24, or "" for other numbers.
func OTLPLevel(number int32) string {
	switch {
	case number < 1 || number > 24:
		return ""
	case number == 9:
		return Info
	case number == 17:
		return Error
	default:
		return [...]string{Trace, Debug, Notice, Warn, Critical, Fatal}[(number-1)/4]
	}
}

// NamedLevel returns the level of a common name, ignoring case and surrounding white space, or
// "" for an unknown one.
func NamedLevel(name []byte) string {
	name = bytes.TrimSpace(name)
	level, known := packet.ParseLevel(name)
	switch {
	case !known:
		return ""
	case level == packet.LevelCritical && packet.IsFatal(name):
		return Fatal
	default:
		return level.String()
	}
}

// NumberedLevel returns the level of a number, or "" for an unknown one: 0 to 7 are severities of
// RFC 5424, such as journald's PRIORITY, and 10 to 60 are the levels of pino and bunyan.
func NumberedLevel(text []byte) string {
	if len(text) == 0 || len(text) > 2 || !isDigits(text) {
		return ""
	}
	n := 0
	for _, digit := range text {
		n = 10*n + int(digit-'0')
	}
	if n < 8 {
		return SyslogLevel(n)
	}
	return PinoLevel(n)
}

// LevelOf returns the level of a text, which is a name or a number, or "" for an unknown one.
func LevelOf(text []byte) string {
	if level := NumberedLevel(text); level != "" {
		return level
	}
	return NamedLevel(text)
}

// setKnownLevel sets the level that a text means. A text other than the level's name is kept as
// severity_text.
func (m *Message) setKnownLevel(level string, text []byte) {
	if m.level = level; string(text) != level {
		m.Set("severity_text", text)
	}
}

// maxLevelBytes bounds an unknown level.
const maxLevelBytes = 64
