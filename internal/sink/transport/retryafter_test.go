package transport

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		value string
		pause time.Duration
		ok    bool
	}{
		{"", defaultPause, false},
		{"3", 3 * time.Second, true},
		{"0", minPause, true},
		{"-7", minPause, true},
		{"86400", maxPause, true},
		{"99999999999999999999", maxPause, true},
		{"soon", defaultPause, true},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second, true},
		{"Fri, 02 Jan 2026 03:04:00 GMT", minPause, true},
		{"Sun, 06 Nov 2094 08:49:37 GMT", maxPause, true},
	} {
		if pause, ok := RetryAfter(test.value, now); pause != test.pause || ok != test.ok {
			t.Errorf("Retry-After %q is %v, %v; want %v, %v", test.value, pause, ok, test.pause, test.ok)
		}
	}
}
