package intake

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestParseShed(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"DEBUG@80%":            "DEBUG@80%",
		"debug@55":             "DEBUG@55%",
		" dbg@80% , INFO@95% ": "INFO@95%,DEBUG@80%",
		"warning@99.5%":        "WARN@99.5%",
	} {
		shed, err := ParseShed(text)
		if got := shed.String(); err != nil || got != want {
			t.Errorf("%q is read as %q: %v", text, got, err)
		}
	}
	for _, text := range []string{
		"DEBUG", "@80%", "DEBUG@", "DEBUG@x%", "DEBUG@0%", "DEBUG@100%", "DEBUG@-1%", "DEBUG@NaN%", "LOUD@80%",
		"ERROR@80%", "FATAL@99%", "DEBUG@80%,", ",", "DEBUG@80%;INFO@95%",
	} {
		if shed, err := ParseShed(text); err == nil || !strings.Contains(err.Error(), "\"") {
			t.Errorf("%q is read as %v, %v", text, shed, err)
		}
	}
}

// The more capacity is in use, the more levels are refused, in ascending order; the printed
// thresholds parse to the same thresholds.
func TestShedIsMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var shed ShedThresholds
		for range rapid.IntRange(1, 4).Draw(t, "marks") {
			shed = append(shed, ShedThreshold{
				Level:       packet.Level(rapid.IntRange(int(packet.LevelTrace), int(packet.LevelWarn)).Draw(t, "level")),
				Utilization: float64(rapid.IntRange(1, 999).Draw(t, "permille")) / 1000,
			})
		}
		read, err := ParseShed(shed.String())
		if err != nil {
			t.Fatal(err)
		}
		sheds := func(s ShedThresholds, level packet.Level, permille int) bool {
			_, shed := s.sheds(level, func() float64 { return (float64(permille) + 0.5) / 1000 })
			return shed
		}
		for level := packet.LevelTrace; level <= packet.LevelCritical; level++ {
			for permille := range 1000 {
				now := sheds(shed, level, permille)
				if now != sheds(read, level, permille) {
					t.Fatalf("%v is not read as it is printed", shed)
				}
				if now && !sheds(shed, level, min(permille+1, 999)) || now && level > packet.LevelTrace && !sheds(shed, level-1, permille) {
					t.Fatalf("%v at %v, %d per mille", shed, level, permille)
				}
			}
		}
	})
}
