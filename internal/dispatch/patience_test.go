package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// A moment's fullness does not change who gets what.
func TestBriefFullnessKeepsTheOrder(t *testing.T) {
	histories := make([][]int, 2)
	for i, full := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := started(t, 0.5, 0.3, 0.2)
			for step := range 300 {
				w.add(t, 1+step*37%100)
				blocked := full && step%20 == 0
				if blocked {
					for _, a := range w.analyzers {
						a.fill(true)
					}
				}
				synctest.Wait()
				if blocked {
					time.Sleep(3 * time.Millisecond)
					for _, a := range w.analyzers {
						a.free(plenty)
					}
					w.Changed()
					synctest.Wait()
				}
				time.Sleep(20 * time.Millisecond)
				for _, a := range w.analyzers {
					for range a.take(plenty) {
						histories[i] = append(histories[i], a.position)
					}
				}
			}
			within(t, w.Books())
		})
	}
	if len(histories[0]) != 300 || len(histories[1]) != 300 {
		t.Fatalf("%d and %d packets were routed", len(histories[0]), len(histories[1]))
	}
	for step := range histories[0] {
		if histories[0][step] != histories[1][step] {
			t.Fatalf("packet %d went to %d, and without the fullness to %d", step, histories[1][step], histories[0][step])
		}
	}
}

// An analyzer without room holds the others up for a moment, and then hardly.
func TestFullAnalyzerDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.analyzers[0].fill(true)
		w.addMany(t, 1000)
		time.Sleep(mostPatience + 2*upstream.TickInterval)
		if got := w.analyzers[1].holds(); got != 1000 {
			t.Fatalf("the other analyzer got %d packets, want all 1000", got)
		}
		if got := w.Books().Analyzers; got[0].Effective != 0 || got[1].Effective != 1 {
			t.Errorf("the shares are %v and %v", got[0].Effective, got[1].Effective)
		}
		// One that is slow for ever costs the others a twentieth of the time.
		waited := time.Duration(0)
		for range 600 {
			w.analyzers[0].set(func(a *analyzer) { a.resting = true }) // it may join, and is full at once
			began := time.Now()
			w.addMany(t, 10)
			synctest.Wait()
			for w.Books().Waiting.Packets > 0 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			waited += time.Since(began)
			time.Sleep(upstream.TickInterval)
		}
		if most := 60 * time.Second / 5; waited > most {
			t.Errorf("packets waited %v in a minute", waited)
		}
	})
}

// Of 100 equal analyzers 40 take 20 packets a second each, half of their share, and
// hold 20 at most; the others take at once what they get.
func TestManySlowAnalyzersDoNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			slow, held  = 40, 20
			each        = 50 // ms, for a packet at a slow one
			packetsInMs = 4
			most        = 4000 // a second's worth
		)
		weights := make([]float64, 100)
		for i := range weights {
			weights[i] = 1
		}
		w := newWorld(t, weights...)
		for _, a := range w.analyzers[:slow] {
			a.room = held
		}
		w.Start(t.Context())
		t.Cleanup(w.Stop)
		for ms := range 10_000 {
			for range packetsInMs {
				w.add(t, 1)
			}
			for i, a := range w.analyzers {
				capable := plenty
				if i < slow {
					capable = 0
					if (ms+i)%each == 0 {
						capable = 1
					}
				}
				if taken := a.take(capable); len(taken) > 0 {
					a.set(func(a *analyzer) { a.room += len(taken) })
					w.Delivered(i, taken)
					w.Changed()
				}
				a.set(func(a *analyzer) { a.resting = i >= slow || len(a.bound) <= held/2 })
			}
			time.Sleep(time.Millisecond)
			if waiting := w.journal.Stats().Queued.Packets; waiting > most {
				t.Fatalf("after %d ms %d of %d packets wait, while most analyzers do nothing", ms, waiting, w.put)
			}
		}
	})
}

// pass lets time pass in which requests to other analyzers end.
func (w *world) pass(duration time.Duration) {
	const step = 5 * time.Millisecond
	for range duration / step {
		time.Sleep(step)
		w.Changed()
	}
}

// fullForAMoment fails unless the first two analyzers, which have the same weight, get
// equally many of the packets that come while one of them is full for a moment.
func (w *world) fullForAMoment(t *testing.T) {
	t.Helper()
	const packets, uneven = 100, 5
	a, b := w.analyzers[0], w.analyzers[1]
	before := a.holds() - b.holds()
	a.fill(true)
	for range packets {
		w.add(t, 1)
	}
	w.pass(mostPatience / 2)
	a.free(plenty)
	w.Changed()
	synctest.Wait()
	if got := a.holds() - b.holds() - before; got < -uneven || got > uneven {
		t.Errorf("of %d packets the analyzer that was full for a moment got %d more than another", packets, got)
	}
}

// Analyzers that are slow for ever do not use up the patience with the others.
func TestBriefFullnessBesideSlowAnalyzers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1, 1, 1, 1, 1, 1, 1)
		load := func(duration time.Duration) {
			const step = 5 * time.Millisecond
			for range duration / step {
				for _, a := range w.analyzers[2:] {
					a.set(func(a *analyzer) { a.room, a.resting = 0, true }) // it may join, and is full at once
				}
				w.add(t, 1)
				w.pass(step)
			}
		}
		load(20 * time.Second) // until they have used up their own
		for range 5 {
			load(10 * time.Second)
			w.fullForAMoment(t)
		}
	})
}

// Time in which nobody is waited for is charged to nobody.
func TestPatienceAfterTrouble(t *testing.T) {
	for name, trouble := range map[string]func(*analyzer){
		"overload": func(a *analyzer) { a.fill(true) },
		"outage":   func(a *analyzer) { a.fill(false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := started(t, 1, 1)
				for _, a := range w.analyzers {
					a.fill(true)
				}
				w.addMany(t, 100)
				time.Sleep(mostPatience / 2) // one of them is waited for
				for _, a := range w.analyzers {
					trouble(a)
				}
				time.Sleep(10 * time.Minute)
				for _, a := range w.analyzers {
					a.free(plenty)
				}
				time.Sleep(10 * time.Second)
				w.fullForAMoment(t)
			})
		})
	}
}

// With strict routing a full analyzer is waited for, however long.
func TestStrictRoutingWaits(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			w.strict = strict
			w.analyzers[0].set(func(a *analyzer) { a.room, a.resting = 0, false })
			w.Start(t.Context())
			defer w.Stop()
			for range 100 {
				w.add(t, 1)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := w.analyzers[1].holds(); (got == 100) == strict {
				t.Errorf("strict %v: after a minute the other analyzer holds %d of 100 packets", strict, got)
			}
		})
	}
}
