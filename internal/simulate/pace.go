package simulate

import (
	"fmt"
	"strconv"
	"strings"
)

// ParsePace parses a pace such as 2000/s: messages per second.
func ParsePace(text string) (float64, error) {
	pace, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(pace > 0 && pace <= 1e12) {
		return 0, fmt.Errorf("%q: messages per second are needed, such as 2000/s", text)
	}
	return pace, nil
}

// SetPaces sets paces given as a1=2000/s,a2=500/s.
func (c *Config) SetPaces(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		id, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return fmt.Errorf("%q: an analyzer and its pace are needed, such as a1=2000/s", part)
		}
		pace, err := ParsePace(value)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		var known []string
		for i := range c.Analyzers {
			known = append(known, c.Analyzers[i].ID)
			if c.Analyzers[i].ID == id {
				c.Analyzers[i].Pace, ok = pace, false
			}
		}
		if ok {
			return fmt.Errorf("there is no analyzer %q; known are %s", id, strings.Join(known, ", "))
		}
	}
	return nil
}
