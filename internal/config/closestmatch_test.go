package config

import (
	"testing"

	"pgregory.net/rapid"
)

// wholeDistance is the optimal string alignment distance, by its definition.
func wholeDistance(a, b string) int {
	switch {
	case a == "" || b == "":
		return len(a) + len(b)
	case a[0] == b[0]:
		return wholeDistance(a[1:], b[1:])
	}
	least := 1 + min(wholeDistance(a[1:], b), wholeDistance(a, b[1:]), wholeDistance(a[1:], b[1:]))
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		least = min(least, 1+wholeDistance(a[2:], b[2:]))
	}
	return least
}

func TestEditDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,7}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		got, want := editDistance(a, b), wholeDistance(a, b)
		if got != want && (got <= maxEditDistance || want <= maxEditDistance) {
			t.Errorf("the distance of %q and %q is %d, want %d", a, b, got, want)
		}
	})
	long := "LONGER_THAN_ALL_NAMES_OF_SETTINGS_THAT_THERE_ARE_AND_THAN_THE_MEMORY_ON_THE_STACK"
	if got := editDistance(long, long[1:]+"X"); got != 2 {
		t.Errorf("the distance of long words is %d", got)
	}
}
