//go:build linux

package main

import "slices"

// spread summarises the values of several rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"least"`
	Max    float64 `json:"most"`
}

// spreadOf returns the spread of at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// ratios divides round by round, so that a disturbance of a round affects both.
func ratios(of, by []float64) []float64 {
	result := make([]float64, min(len(of), len(by)))
	for i := range result {
		result[i] = of[i] / by[i]
	}
	return result
}
