package packet

import (
	"strings"
	"testing"
)

func TestParseLevel(t *testing.T) {
	for want, names := range referenceLevels {
		for name := range strings.FieldsSeq(names) {
			capital := strings.ToUpper(name[:1]) + name[1:]
			for _, spelling := range []string{name, strings.ToUpper(name), capital} {
				if got, known := ParseLevel(spelling); got != want || !known {
					t.Errorf("%s is %v, %v; want %v", spelling, got, known, want)
				}
				if got, known := ParseLevel([]byte(spelling)); got != want || !known {
					t.Errorf("%s as bytes is %v, %v; want %v", spelling, got, known, want)
				}
			}
		}
	}
	for _, name := range []string{"", "x", "warn ", "informationals", "in\x06o", "\x09nfo", "ınfo", "KRITICAL", "30"} {
		if got, known := ParseLevel(name); got != LevelInfo || known {
			t.Errorf("%q is %v, %v; want an unknown level that counts as INFO", name, got, known)
		}
	}
}

func TestLevelNames(t *testing.T) {
	for level := LevelTrace; level <= LevelCritical; level++ {
		if parsed, known := ParseLevel(level.String()); parsed != level || !known {
			t.Errorf("%v is parsed as %v, %v", level, parsed, known)
		}
	}
	if got := Level(0).String(); got != "UNKNOWN" {
		t.Errorf("the name of level 0 is %s", got)
	}
}
