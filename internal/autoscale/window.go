package autoscale

import "time"

// window has the highest of the needs since a time. The needs in it fall, so that there are at most maxNeeded.
type window struct{ needs []timedNeed }

type timedNeed struct {
	at     time.Time
	needed int
}

// add adds a need, drops those from before a time, and returns the highest left.
func (w *window) add(now, since time.Time, needed int) (highest int) {
	last := len(w.needs)
	for last > 0 && w.needs[last-1].needed <= needed {
		last--
	}
	w.needs = append(w.needs[:last], timedNeed{now, needed})
	first := 0
	for w.needs[first].at.Before(since) {
		first++
	}
	w.needs = append(w.needs[:0], w.needs[first:]...)
	return w.needs[0].needed
}
