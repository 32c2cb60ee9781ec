package ingest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Shed is which packets are refused while the room fills up: those whose
// highest level is at or below a mark's.
type Shed []ShedThreshold

// ShedThreshold applies while more than that part of the room is in use.
type ShedThreshold struct {
	Level       packet.Level
	Utilization float64 // 0…1
}

// String returns the mark as ParseShed reads it.
func (m ShedThreshold) String() string { return fmt.Sprintf("%s@%.6g%%", m.Level, 100*m.Utilization) }

// ParseShed reads marks such as DEBUG@80%,INFO@95%.
func ParseShed(text string) (Shed, error) {
	var shed Shed
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, mark, ok := strings.Cut(strings.TrimSpace(part), "@")
		level, known := packet.ParseLevel(name)
		percent, err := strconv.ParseFloat(strings.TrimSuffix(mark, "%"), 64)
		if !ok || !known || err != nil || !(percent > 0 && percent < 100) { // NaN is refused
			return nil, fmt.Errorf("%q must be a level, @ and a part of the room, such as DEBUG@80%%", part)
		}
		if level >= packet.LevelError {
			return nil, fmt.Errorf("%q: ERROR and above are not shed", part)
		}
		shed = append(shed, ShedThreshold{Level: level, Utilization: percent / 100})
	}
	slices.SortFunc(shed, func(a, b ShedThreshold) int { return int(b.Level) - int(a.Level) })
	return shed, nil
}

// UnmarshalText sets the marks to those that ParseShed reads.
func (s *Shed) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShed(string(text))
	return err
}

// String returns the marks as ParseShed reads them.
func (s Shed) String() string {
	var parts []string
	for _, m := range s {
		parts = append(parts, m.String())
	}
	return strings.Join(parts, ",")
}

// sheds tells whether a packet of that level is refused now, and by which mark.
func (s Shed) sheds(level packet.Level, fullness func() float64) (ShedThreshold, bool) {
	if len(s) == 0 {
		return ShedThreshold{}, false
	}
	full := fullness()
	for _, m := range s {
		if level <= m.Level && full > m.Utilization {
			return m, true
		}
	}
	return ShedThreshold{}, false
}
