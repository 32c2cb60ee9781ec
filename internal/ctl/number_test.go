package ctl

import "testing"

// A number that rounds to zero has no sign.
func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{-0.4: "0", 0.4: "0", -0.6: "-1", 1.5: "2"} {
		if got := number(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}
