package faults

import "slices"

// verdict is what the oracle says: what emitters were told against what
// analyzers took.
type verdict struct {
	Accepted   int
	Lost       []string // accepted, and taken by no analyzer
	Duplicates int      // packets taken again, once for each time
	Refused    int
	Unanswered int
	// Surplus packets were taken although they were refused or unanswered.
	Surplus int
	// Invented ids were never sent.
	Invented []string
}

// compare asks the oracle.
func compare(outcomes map[string]outcome, analyzers []*analyzer) verdict {
	var v verdict
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
