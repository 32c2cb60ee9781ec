package emitter

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffIsCapped(t *testing.T) {
	const almostOne = 1 - 1e-12
	for failures, ceiling := range map[int]time.Duration{
		1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond,
		7: 3200 * time.Millisecond, 8: 5 * time.Second, 64: 5 * time.Second, 1 << 40: 5 * time.Second,
	} {
		if got := backoff(failures, 0, almostOne); got > ceiling || got < ceiling-time.Microsecond {
			t.Errorf("after %d failures at most %v, want %v", failures, got, ceiling)
		}
		if got := backoff(failures, 0, 0); got != 0 {
			t.Errorf("after %d failures at least %v: that is not full jitter", failures, got)
		}
	}
}

func TestBackoffHonoursRetryAfter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		retryAfter := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "retry after"))
		got := backoff(rapid.IntRange(1, 1000).Draw(t, "failures"), retryAfter, rapid.Float64Range(0, 0.999).Draw(t, "random"))
		if got < retryAfter || got > retryAfter+backoffCap {
			t.Fatalf("waits %v with a Retry-After of %v", got, retryAfter)
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"3":                             3 * time.Second,
		"0":                             0,
		"-3":                            0,
		"NaN":                           0,
		"1.5":                           1500 * time.Millisecond,
		"86400":                         time.Minute,
		"99999999999999999999":          time.Minute,
		"soon":                          0,
		"Sun, 01 Mar 2026 12:00:07 GMT": 7 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		now.Add(9 * time.Hour).Format(http.TimeFormat): time.Minute,
	} {
		if got := parseRetryAfter(header, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", header, got, want)
		}
	}
}
