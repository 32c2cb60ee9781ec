package faults

import (
	"testing"
	"time"
)

// workerModel computes the service times of an analyzer's workers: FIFO, one
// request each at a time. It does not wait.
type workerModel struct {
	Behaviour
	opened time.Time
	free   []time.Time // when each worker becomes free
}

func newWorkerModel(b Behaviour, now time.Time) workerModel {
	return workerModel{Behaviour: b, opened: now, free: make([]time.Time, b.Workers)}
}

// serve returns when the packets of a request that arrives now are done, which
// is at once without workers.
func (d *workerModel) serve(now time.Time, packets int) (done time.Time) {
	if len(d.free) == 0 {
		return now
	}
	worker := 0
	for i, free := range d.free {
		if free.Before(d.free[worker]) {
			worker = i
		}
	}
	start := latest(now, d.free[worker])
	each := float64(d.Service) * d.slowness(start)
	d.free[worker] = start.Add(time.Duration(each * float64(packets)))
	return d.free[worker]
}

// slowness is the current multiple of the normal service time.
func (d *workerModel) slowness(now time.Time) float64 {
	switch grown := now.Sub(d.opened); {
	case d.Slower == 0:
		return 1
	case grown < d.Over:
		return 1 + (d.Slower-1)*float64(grown)/float64(d.Over)
	default:
		return d.Slower
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Workers serve requests in order, one each, at a rate that may decrease.
func TestWorkerModel(t *testing.T) {
	start := time.Now()
	two := newWorkerModel(Behaviour{Service: 10 * time.Millisecond, Workers: 2}, start)
	slow := newWorkerModel(Behaviour{Service: 10 * time.Millisecond, Workers: 1, Slower: 5, Over: 100 * time.Millisecond}, start)
	none := newWorkerModel(Behaviour{}, start)
	for _, test := range []struct {
		workerModel          *workerModel
		comes, packets, done int // milliseconds after the start
	}{
		{&two, 0, 3, 30}, {&two, 0, 1, 10}, {&two, 0, 1, 20}, {&two, 25, 1, 35}, {&two, 26, 1, 40},
		{&slow, 0, 1, 10}, {&slow, 50, 1, 80}, {&slow, 200, 2, 300},
		{&none, 7, 9, 7},
	} {
		got := test.workerModel.serve(start.Add(time.Duration(test.comes)*time.Millisecond), test.packets).Sub(start)
		if want := time.Duration(test.done) * time.Millisecond; got != want {
			t.Errorf("%d packets that arrive at %d ms are done at %v, not %v", test.packets, test.comes, got, want)
		}
	}
}
