package analyzertest

import "time"

// workers computes the service times of an analyzer's workers: FIFO, one
// request each at a time. It does not wait.
type workers struct {
	Behaviour
	start time.Time
	free  []time.Time // when each worker becomes free
}

func newWorkers(b Behaviour, now time.Time) workers {
	return workers{Behaviour: b, start: now, free: make([]time.Time, b.Workers)}
}

// serve returns the time at which the packets of a request that arrives now are done. Without
// workers it is now.
func (s *workers) serve(now time.Time, packets int) (done time.Time) {
	if len(s.free) == 0 {
		return now
	}
	worker := 0
	for i, free := range s.free {
		if free.Before(s.free[worker]) {
			worker = i
		}
	}
	begin := now
	if s.free[worker].After(now) {
		begin = s.free[worker]
	}
	each := float64(s.Service) * s.slowness(begin)
	s.free[worker] = begin.Add(time.Duration(each * float64(packets)))
	return s.free[worker]
}

// slowness returns the current multiple of the normal service time.
func (s *workers) slowness(now time.Time) float64 {
	switch grown := now.Sub(s.start); {
	case s.Slower == 0:
		return 1
	case grown < s.Over:
		return 1 + (s.Slower-1)*float64(grown)/float64(s.Over)
	default:
		return s.Slower
	}
}
