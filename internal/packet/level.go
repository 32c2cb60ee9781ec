package packet

// Level is a message's severity; higher values are more severe.
type Level uint8

// The levels in ascending order.
const (
	LevelTrace Level = iota + 1
	LevelDebug
	LevelInfo
	LevelNotice
	LevelWarn
	LevelError
	LevelCritical
)

// String returns the level's usual name in capitals, such as INFO.
func (l Level) String() string {
	switch l {
	case LevelTrace:
		return "TRACE"
	case LevelDebug:
		return "DEBUG"
	case LevelInfo:
		return "INFO"
	case LevelNotice:
		return "NOTICE"
	case LevelWarn:
		return "WARN"
	case LevelError:
		return "ERROR"
	case LevelCritical:
		return "CRITICAL"
	default:
		return "UNKNOWN"
	}
}

// maxLevelNameLen is the length of "informational".
const maxLevelNameLen = 13

// ParseLevel returns the level of a common name, ignoring case, or LevelInfo and
// false for an unknown name. It may be called concurrently.
func ParseLevel[T string | []byte](name T) (level Level, known bool) {
	if len(name) > maxLevelNameLen {
		return LevelInfo, false
	}
	var buffer [maxLevelNameLen]byte
	lower := buffer[:len(name)]
	for i := range lower {
		lower[i] = name[i] | 0x20 // only letters become lower-case letters
	}
	switch string(lower) {
	case "t", "trc", "trace", "finest", "finer", "verbose":
		return LevelTrace, true
	case "d", "dbg", "debug", "fine":
		return LevelDebug, true
	case "i", "inf", "info", "information", "informational":
		return LevelInfo, true
	case "n", "notice":
		return LevelNotice, true
	case "w", "wrn", "warn", "warning":
		return LevelWarn, true
	case "e", "err", "error", "severe":
		return LevelError, true
	case "c", "crit", "critical", "f", "ftl", "fatal", "a", "alert", "emerg", "emergency", "p", "panic", "dpanic":
		return LevelCritical, true
	default:
		return LevelInfo, false
	}
}

// IsFatal reports whether a name of LevelCritical means that a program, or a system, ends.
func IsFatal(name []byte) bool {
	switch name[0] | 0x20 {
	case 'f', 'p', 'd': // fatal, panic, dpanic
		return true
	case 'e': // emerg, emergency
		return true
	default:
		return false
	}
}
