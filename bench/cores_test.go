//go:build linux

package main

import (
	"testing"
	"time"
)

func TestBusyTimeExcludesIdle(t *testing.T) {
	const stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 1000 500 4 5 6 7 8\ncpu1 10 20 30 1000 500 40 50 60 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\nintr 1\n"
	for _, c := range []struct {
		cores []int
		want  time.Duration
	}{{[]int{0}, 210 * time.Millisecond}, {[]int{0, 1}, 2310 * time.Millisecond}, {[]int{10}, 60 * time.Millisecond}} {
		if got, err := parseBusyTime(stat, c.cores); err != nil || got != c.want {
			t.Errorf("cores %v: %v, %v, want %v", c.cores, got, err, c.want)
		}
	}
	if _, err := parseBusyTime(stat, []int{2}); err == nil {
		t.Error("an absent core gave no error")
	}
	if busy, err := busyTime([]int{0}); err != nil || busy <= 0 {
		t.Errorf("this machine's first core: %v, %v", busy, err)
	}
}
