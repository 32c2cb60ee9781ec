package emitter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLevelOffset is how far into a line a level is searched, in bytes.
const maxLevelOffset = 256

// namedLevel returns the level named by a word, in upper case, or "".
func namedLevel(word string) string {
	if len(word) > len("informational") {
		return ""
	}
	switch strings.ToLower(word) {
	case "trace", "trc", "verbose", "finest", "finer":
		return "TRACE"
	case "debug", "dbg", "fine":
		return "DEBUG"
	case "info", "inf", "information", "informational":
		return "INFO"
	case "notice":
		return "NOTICE"
	case "warn", "warning", "wrn":
		return "WARN"
	case "error", "err", "severe":
		return "ERROR"
	case "critical", "crit", "alert", "emerg", "emergency", "panic":
		return "CRITICAL"
	case "fatal", "ftl":
		return "FATAL"
	}
	return ""
}

// letterLevel returns the level of the letters used by glog and Android.
func letterLevel(letter byte) string {
	switch letter {
	case 'V':
		return "TRACE"
	case 'D':
		return "DEBUG"
	case 'I':
		return "INFO"
	case 'W':
		return "WARN"
	case 'E':
		return "ERROR"
	case 'F':
		return "FATAL"
	}
	return ""
}

// canonicalLevel returns the level of a structured field: a name, a number of
// bunyan or pino, or else the text itself.
func canonicalLevel(text string) string {
	switch text {
	case "10":
		return "TRACE"
	case "20":
		return "DEBUG"
	case "30":
		return "INFO"
	case "40":
		return "WARN"
	case "50":
		return "ERROR"
	case "60":
		return "FATAL"
	}
	text = strings.TrimSpace(text)
	if level := namedLevel(text); level != "" {
		return level
	}
	return text
}

// findLevel returns the level near the start of a text: in upper case (ERROR),
// in brackets ([warn]), before a colon (error:), or after a key (level=info,
// "level":"info"). It returns "" when there is none.
func findLevel(text string) string {
	if len(text) > maxLevelOffset {
		text = text[:maxLevelOffset]
	}
	for at := 0; at < len(text); {
		if !isLetter(text[at]) {
			at++
			continue
		}
		end := at + 1
		for end < len(text) && isLetter(text[end]) {
			end++
		}
		if level := namedLevel(text[at:end]); level != "" && isMarked(text, at, end) {
			return level
		}
		at = end
	}
	return ""
}

// isMarked reports whether the word text[at:end] is written as a level.
func isMarked(text string, at, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if isWordPart(before) || isWordPart(after) {
		return false
	}
	switch {
	case strings.ContainsRune("[(<|:", before) && strings.ContainsRune("])>|", after):
		return true
	case strings.ContainsRune(`="`, before) && endsWithLevelKey(strings.TrimRight(text[:at], `=": `)):
		return true
	case after == ':' && (at == 0 || before == ' '):
		return true
	}
	word := text[at:end]
	return word == strings.ToUpper(word)
}

func endsWithLevelKey(text string) bool {
	for _, key := range []string{"level", "lvl", "severity"} {
		if strings.HasSuffix(text, key) {
			return true
		}
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isWordPart(r rune) bool {
	return r == '_' || r == '-' || r == '/' || (r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)))
}
