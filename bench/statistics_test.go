//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{4}, spread{4, 4, 4}},
		{[]float64{9, 1, 2}, spread{2, 1, 9}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
	} {
		before := slices.Clone(c.values)
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spreadOf(%v) is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Error("spreadOf changed its values")
		}
	}
}

func TestRatiosAreRoundByRound(t *testing.T) {
	if got := ratios([]float64{1, 6, 9}, []float64{2, 3}); !slices.Equal(got, []float64{0.5, 2}) {
		t.Errorf("ratios gave %v", got)
	}
}
