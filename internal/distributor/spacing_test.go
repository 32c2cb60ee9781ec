package distributor

import (
	"testing"
	"time"
)

func TestSpacing(t *testing.T) {
	for analyzers, want := range map[int]time.Duration{
		1: time.Millisecond, 3: time.Millisecond, 10: 2 * time.Millisecond, 30: 6 * time.Millisecond, 300: 20 * time.Millisecond,
	} {
		c := DefaultConfig()
		c.Targets = make([]Target, analyzers)
		if got := c.analyzer(Target{}).Linger; got != want {
			t.Errorf("%d analyzers: %v, want %v", analyzers, got, want)
		}
	}
}
