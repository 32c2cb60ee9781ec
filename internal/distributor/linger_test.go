package distributor

import (
	"testing"
	"time"
)

func TestLinger(t *testing.T) {
	for analyzers, want := range map[int]time.Duration{
		1: time.Millisecond, 3: time.Millisecond, 10: 2 * time.Millisecond, 30: 6 * time.Millisecond, 300: 60 * time.Millisecond, 5000: 200 * time.Millisecond,
	} {
		if got := linger(analyzers); got != want {
			t.Errorf("%d analyzers: %v, want %v", analyzers, got, want)
		}
	}
}
