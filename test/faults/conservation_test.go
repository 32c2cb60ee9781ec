package faults

import "slices"

// verification compares what emitters were answered with what analyzers took.
type verification struct {
	Accepted   int
	Lost       []string // accepted and taken by no analyzer
	Duplicates int      // repeated deliveries
	Refused    int
	Unanswered int
	// Surplus counts packets taken although refused or unanswered.
	Surplus int
	// Invented are ids that were never sent.
	Invented []string
}

// checkConservation compares the outcomes with the analyzers' logs.
func checkConservation(outcomes map[string]outcome, analyzers []*analyzer) verification {
	var v verification
	taken := make(map[string]int)
	for _, a := range analyzers {
		for _, id := range a.taken() {
			taken[id]++
		}
	}
	for id, times := range taken {
		v.Duplicates += times - 1
		o, known := outcomes[id]
		switch {
		case !known || o == unsent:
			v.Invented = append(v.Invented, id)
		case o != accepted:
			v.Surplus++
		}
	}
	for id, o := range outcomes {
		switch o {
		case accepted:
			v.Accepted++
			if taken[id] == 0 {
				v.Lost = append(v.Lost, id)
			}
		case refused:
			v.Refused++
		case unanswered:
			v.Unanswered++
		}
	}
	slices.Sort(v.Lost)
	return v
}
