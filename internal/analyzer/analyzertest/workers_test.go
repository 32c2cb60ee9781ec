package analyzertest

import (
	"testing"
	"time"
)

// Workers serve requests in order, one each, at a rate that may decrease.
func TestWorkers(t *testing.T) {
	start := time.Now()
	two := newWorkers(Behaviour{Service: 10 * time.Millisecond, Workers: 2}, start)
	slow := newWorkers(Behaviour{Service: 10 * time.Millisecond, Workers: 1, Slower: 5, Over: 100 * time.Millisecond}, start)
	none := newWorkers(Behaviour{}, start)
	for _, test := range []struct {
		workers              *workers
		comes, packets, done int // milliseconds after the start
	}{
		{&two, 0, 3, 30}, {&two, 0, 1, 10}, {&two, 0, 1, 20}, {&two, 25, 1, 35}, {&two, 26, 1, 40},
		{&slow, 0, 1, 10}, {&slow, 50, 1, 80}, {&slow, 200, 2, 300},
		{&none, 7, 9, 7},
	} {
		got := test.workers.serve(start.Add(time.Duration(test.comes)*time.Millisecond), test.packets).Sub(start)
		if want := time.Duration(test.done) * time.Millisecond; got != want {
			t.Errorf("%d packets that arrive at %d ms are done at %v, not %v", test.packets, test.comes, got, want)
		}
	}
}
