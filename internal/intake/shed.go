package intake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// ShedThresholds determines which packets are refused while the capacity fills up: packets whose
// highest level is at or below the level of a threshold that applies.
type ShedThresholds []ShedThreshold

// ShedThreshold applies while more than that fraction of the capacity is in use.
type ShedThreshold struct {
	Level       packet.Level
	Utilization float64 // 0 to 1
}

// String returns the threshold as ParseShed reads it.
func (m ShedThreshold) String() string { return fmt.Sprintf("%s@%.6g%%", m.Level, 100*m.Utilization) }

func (m ShedThreshold) detail() string {
	return fmt.Sprintf("packets of level %s and below are refused while more than %.6g %% of the capacity is in use", m.Level, 100*m.Utilization)
}

// ParseShed reads thresholds such as DEBUG@80%,INFO@95%.
func ParseShed(text string) (ShedThresholds, error) {
	var shed ShedThresholds
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, mark, ok := strings.Cut(strings.TrimSpace(part), "@")
		level, known := packet.ParseLevel(name)
		percent, err := strconv.ParseFloat(strings.TrimSuffix(mark, "%"), 64)
		if !ok || !known || err != nil || !(percent > 0 && percent < 100) { // NaN is refused
			return nil, fmt.Errorf("%q must be a level, @ and a part of the capacity between 0%% and 100%%, such as DEBUG@80%%", part)
		}
		if level >= packet.LevelError {
			return nil, fmt.Errorf("%q: ERROR and above are not shed", part)
		}
		shed = append(shed, ShedThreshold{Level: level, Utilization: percent / 100})
	}
	slices.SortFunc(shed, func(a, b ShedThreshold) int { return int(b.Level) - int(a.Level) })
	return shed, nil
}

// UnmarshalText sets the thresholds to those that ParseShed reads.
func (s *ShedThresholds) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShed(string(text))
	return err
}

// String returns the thresholds as ParseShed reads them.
func (s ShedThresholds) String() string {
	var parts []string
	for _, m := range s {
		parts = append(parts, m.String())
	}
	return strings.Join(parts, ",")
}

// sheds reports whether a packet of that level is refused now, and by which threshold.
func (s ShedThresholds) sheds(level packet.Level, utilization func() float64) (ShedThreshold, bool) {
	if len(s) == 0 {
		return ShedThreshold{}, false
	}
	used := utilization()
	for _, m := range s {
		if level <= m.Level && used > m.Utilization {
			return m, true
		}
	}
	return ShedThreshold{}, false
}
