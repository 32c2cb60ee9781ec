package faults

import (
	"testing"
	"time"
)

// desk is where an analyzer's workers serve requests, first come first served,
// one request each at a time. It only reckons: waiting is for its callers.
type desk struct {
	Behaviour
	opened time.Time
	free   []time.Time // when each worker will be
}

func newDesk(b Behaviour, now time.Time) desk {
	return desk{Behaviour: b, opened: now, free: make([]time.Time, b.Workers)}
}

// serve returns when so many packets will be done that come now in one request.
// Without workers that is at once.
func (d *desk) serve(now time.Time, packets int) (done time.Time) {
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

// slowness is how many times its usual time a packet takes.
func (d *desk) slowness(now time.Time) float64 {
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

// Workers take requests as they come, one each, at a pace that may fall.
func TestDesk(t *testing.T) {
	start := time.Now()
	two := newDesk(Behaviour{Service: 10 * time.Millisecond, Workers: 2}, start)
	slow := newDesk(Behaviour{Service: 10 * time.Millisecond, Workers: 1, Slower: 5, Over: 100 * time.Millisecond}, start)
	none := newDesk(Behaviour{}, start)
	for _, test := range []struct {
		desk                 *desk
		comes, packets, done int // milliseconds after the start
	}{
		{&two, 0, 3, 30}, {&two, 0, 1, 10}, {&two, 0, 1, 20}, {&two, 25, 1, 35}, {&two, 26, 1, 40},
		{&slow, 0, 1, 10}, {&slow, 50, 1, 80}, {&slow, 200, 2, 300},
		{&none, 7, 9, 7},
	} {
		got := test.desk.serve(start.Add(time.Duration(test.comes)*time.Millisecond), test.packets).Sub(start)
		if want := time.Duration(test.done) * time.Millisecond; got != want {
			t.Errorf("%d packets that come at %d ms are done at %v, not %v", test.packets, test.comes, got, want)
		}
	}
}
