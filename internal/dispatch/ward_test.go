package dispatch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// fail notes in a packet that a visit failed, as an analyzer's sender does.
func fail(p *packet.Packet, now time.Time, strike bool) {
	if p.Trouble == nil {
		p.Trouble = &packet.Trouble{Since: now}
	}
	p.Trouble.Visits++
	p.Trouble.Last, p.Trouble.Cause, p.Trouble.Company = now, "answered 500", 1
	if strike {
		p.Trouble.Strikes++
	}
	p.Tried = true
}

// failAll has every analyzer fail with all that it holds.
func (w *world) failAll(strike bool) (failed int) {
	var back []*packet.Packet
	for _, a := range w.analyzers {
		back = append(back, a.take(plenty)...)
	}
	for _, p := range back {
		fail(p, time.Now(), strike)
		w.Returned(p.Analyzer, []*packet.Packet{p})
	}
	return len(back)
}

// takeAll has every analyzer take all that it holds.
func (w *world) takeAll() (taken int) {
	for _, a := range w.analyzers {
		if packets := a.take(plenty); len(packets) > 0 {
			taken += len(packets)
			w.Delivered(a.position, packets)
		}
	}
	return taken
}

// refuse has an analyzer refuse packets for good.
func (w *world) refuse(a *analyzer, packets []*packet.Packet) {
	var refused []upstream.Refused
	for _, p := range packets {
		refused = append(refused, upstream.Refused{Packet: p, Reason: "malformed", Detail: "why"})
	}
	w.Refused(a.position, refused)
}

// refuseAll has every analyzer refuse all that it holds.
func (w *world) refuseAll() (refused int) {
	for _, a := range w.analyzers {
		if packets := a.take(plenty); len(packets) > 0 {
			refused += len(packets)
			w.refuse(a, packets)
		}
	}
	return refused
}

// A packet that fails again and again is tried ever more rarely: the first time
// elsewhere, at once.
func TestFailedPacketsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		w.add(t, 1)
		synctest.Wait()
		first := 0
		if w.analyzers[1].holds() > 0 {
			first = 1
		}
		w.failAll(true)
		synctest.Wait()
		if w.analyzers[1-first].holds() != 1 {
			t.Fatal("after its first failure it is not with the other analyzer at once")
		}
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			w.failAll(true)
			time.Sleep(wait*time.Second - 10*time.Millisecond)
			synctest.Wait()
			if w.held() > 0 {
				t.Fatalf("it is tried before %d s are over", wait)
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if w.held() != 1 {
				t.Fatalf("it is not tried after %d s", wait)
			}
		}
	})
}

// However many packets fail, few of them are tried at a time, one for each analyzer
// in the running, and others are not held up.
func TestFewFailedPacketsAreTriedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1, 1)
		w.analyzers[2].fill(false)
		w.Start(t.Context())
		t.Cleanup(w.Stop)
		const many = 50
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		w.failAll(false)
		for range 10 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := w.held(); got != 2 {
				t.Fatalf("%d of them are tried at once, with two analyzers in the running", got)
			}
			w.failAll(false)
		}
		time.Sleep(time.Minute)
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		if got := w.held(); got != many+2 {
			t.Errorf("%d of %d new packets are bound", got-2, many)
		}
	})
}

// Once they are taken again they are soon over it, although most have to wait long
// yet.
func TestFailedPacketsThatAreTakenFreeOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		const many = 100
		for range many {
			w.add(t, 1)
		}
		synctest.Wait()
		// Until each has failed so often that it waits for a minute.
		for visits := w.failAll(false); visits < many*len(waits); visits += w.failAll(false) {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for w.held() == 0 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		rounds, taken := 0, 0
		for ; taken < many && rounds < 20; rounds++ {
			taken += w.takeAll()
			synctest.Wait()
		}
		if rounds > 10 { // twice as many each time
			t.Errorf("%d of %d packets were taken in %d rounds, in no time", taken, many, rounds)
		}
	})
}

// Who is due first at the end may be another than before.
func TestOrderAtTheEnd(t *testing.T) {
	var w ward
	now := time.Now()
	for i := range 20 {
		p := &packet.Packet{}
		for range 1 + i*7%len(waits) {
			fail(p, now.Add(time.Duration(i*13%20)*time.Millisecond), false)
		}
		w.put(p)
	}
	w.hurry()
	later := now.Add(waits[1] + time.Second)
	got := w.take(nil, w.ready(20, later), later)
	for i := 1; i < len(got); i++ {
		if got[i].Trouble.Due.Before(got[i-1].Trouble.Due) {
			t.Errorf("the packet that is due at %v goes after one at %v", got[i].Trouble.Due, got[i-1].Trouble.Due)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d of 20 may go", len(got))
	}
}

// One that fails among those that are taken makes them fewer, and ends their haste.
func TestFailureEndsTheHaste(t *testing.T) {
	w := ward{window: 40, out: 1, early: 30}
	p := &packet.Packet{}
	fail(p, time.Now(), false)
	p.Trouble.Counted = 1
	fail(p, time.Now(), false)
	w.put(p)
	if w.window != 20 || w.early != 0 || w.out != 0 {
		t.Errorf("afterwards %d may be out, %d before their time, and %d are", w.window, w.early, w.out)
	}
	w.take(nil, w.ready(1, time.Now().Add(time.Hour)), time.Now().Add(time.Hour))
	w.put(p) // it was not tried
	if w.window != 20 || w.out != 0 || !p.Trouble.Due.Before(time.Now().Add(2*time.Second)) {
		t.Errorf("after one that was not tried %d may be out, %d are, and it is due at %v", w.window, w.out, p.Trouble.Due)
	}
}

// The longest due goes first.
func TestOldestFailedPacketGoesFirst(t *testing.T) {
	var w ward
	now := time.Now()
	for i := range 20 {
		p := &packet.Packet{Sequence: uint64(i)}
		fail(p, now.Add(-time.Duration(i*7%20)*time.Second), false)
		w.put(p)
	}
	got := w.take(nil, w.ready(20, now), now)
	if len(got) != 20 {
		t.Fatalf("%d of 20 are ready", len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i].Trouble.Last.Before(got[i-1].Trouble.Last) {
			t.Errorf("packet %d is before %d", got[i-1].Sequence, got[i].Sequence)
		}
	}
}

// What failed is sent again within the budget.
func TestBudgetBoundsFailedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1, 1)
		for range retrybudget.MinRetries / 2 {
			w.add(t, 1)
		}
		synctest.Wait()
		w.failAll(false)
		synctest.Wait()
		again := 0
		for range retrybudget.MinRetries {
			again += w.held()
			w.takeAll()
			for range 3 {
				w.add(t, 1)
			}
			synctest.Wait()
			w.failAll(false)
			synctest.Wait()
		}
		w.budget.RecordFirst(0, time.Now())
		if left := w.budget.Take(plenty, time.Now()); left != 0 {
			t.Errorf("after %d more visits %d may be sent again yet", again, left)
		}
	})
}

// Packets that keep failing are counted until they end, however that is, and told
// of once.
func TestSetApartIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		for round := range 2 {
			for range 3 {
				w.add(t, 1)
			}
			synctest.Wait()
			for failures := 0; failures < 3*strikesApart; {
				if got := w.Books().SetApart; got > 0 && failures < strikesApart {
					t.Errorf("after %d failures %d packets are set apart", failures, got)
				}
				failures += w.failAll(true)
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if got := w.Books().SetApart; got != 3 {
				t.Errorf("%d packets are set apart, want 3", got)
			}
			for left := 2; left >= 0; left-- {
				time.Sleep(time.Minute)
				synctest.Wait()
				p := w.analyzers[0].take(1)
				if left == 1 {
					w.Refused(0, []upstream.Refused{{Packet: p[0], Reason: "keeps_failing"}})
				} else {
					w.Delivered(0, p)
				}
				if got := w.Books().SetApart; got != left {
					t.Errorf("%d packets are set apart, want %d", got, left)
				}
			}
			log := w.log.String()
			if begun, over := strings.Count(log, "failing with a packet"), strings.Count(log, "failing with no packet"); begun != round+1 || over != round+1 {
				t.Errorf("%d beginnings and %d ends are told: %s", begun, over, log)
			}
			if !strings.Contains(log, "packet_id=1 analyzer=a0 cause=\"answered 500\"") {
				t.Errorf("the packet is not named: %s", log)
			}
		}
	})
}

// At the end nobody waits long.
func TestAtTheEndFailedPacketsAreHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := started(t, 1)
		w.add(t, 1)
		synctest.Wait()
		for range len(waits) {
			w.failAll(false)
			time.Sleep(waits[len(waits)-1] + time.Second)
			synctest.Wait()
		}
		w.failAll(false)
		w.Drain()
		for range 3 {
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			if w.held() != 0 {
				t.Error("it does not wait at all")
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if w.held() != 1 {
				t.Error("it still waits")
			}
			w.failAll(false)
		}
	})
}
