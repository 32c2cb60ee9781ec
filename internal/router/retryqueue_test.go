package router

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// fail records a failed attempt, as an analyzer's sender does.
func fail(d *upstream.Delivery, now time.Time, isolated bool) {
	if d.Failures == nil {
		d.Failures = &upstream.FailureHistory{Since: now}
	}
	d.Failures.Attempts++
	d.Failures.Last, d.Failures.Cause, d.Failures.LastBatchSize = now, "answered 500", 1
	if isolated {
		d.Failures.IsolatedFailures++
	}
	d.Attempted = true
}

// failAll nacks all held packets with a failed attempt.
func (h *harness) failAll(isolated bool) (failed int) {
	var packets []upstream.Delivery
	for _, a := range h.analyzers {
		packets = append(packets, a.take(unlimited)...)
	}
	for _, p := range packets {
		fail(&p, time.Now(), isolated)
		h.Nacked(p.Analyzer, []upstream.Delivery{p})
	}
	return len(packets)
}

// deliverAll delivers all held packets.
func (h *harness) deliverAll() (delivered int) {
	for _, a := range h.analyzers {
		if packets := a.take(unlimited); len(packets) > 0 {
			delivered += len(packets)
			h.Delivered(a.id, packets)
		}
	}
	return delivered
}

// reject rejects packets.
func (h *harness) reject(a *analyzer, packets []upstream.Delivery) {
	var rejections []upstream.Rejection
	for _, p := range packets {
		rejections = append(rejections, upstream.Rejection{Delivery: p, Reason: "malformed", Detail: "why"})
	}
	h.Rejected(a.id, rejections)
}

// rejectAll rejects all held packets.
func (h *harness) rejectAll() (rejected int) {
	for _, a := range h.analyzers {
		if packets := a.take(unlimited); len(packets) > 0 {
			rejected += len(packets)
			h.reject(a, packets)
		}
	}
	return rejected
}

// Retries have increasing delays; the first one has none and goes to another
// analyzer.
func TestRetriesAreDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.add(t, 1)
		synctest.Wait()
		first := 0
		if h.analyzers[1].holds() > 0 {
			first = 1
		}
		h.failAll(true)
		synctest.Wait()
		if h.analyzers[1-first].holds() != 1 {
			t.Fatal("the first retry does not go to the other analyzer at once")
		}
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			h.failAll(true)
			time.Sleep(wait*time.Second - 10*time.Millisecond)
			synctest.Wait()
			if h.held() > 0 {
				t.Fatalf("the packet is retried before %d s have passed", wait)
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if h.held() != 1 {
				t.Fatalf("the packet is not retried after %d s", wait)
			}
		}
	})
}

// The number of concurrent retries of packets that keep failing is that of active
// analyzers, and new packets are not delayed.
func TestConcurrentRetriesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, 1, 1)
		h.analyzers[2].setFull(false)
		h.Start(t.Context())
		t.Cleanup(h.Stop)
		const many = 50
		for range many {
			h.add(t, 1)
		}
		synctest.Wait()
		h.failAll(false)
		for range 10 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := h.held(); got != 2 {
				t.Fatalf("%d are retried at once with two active analyzers", got)
			}
			h.failAll(false)
		}
		time.Sleep(time.Minute)
		for range many {
			h.add(t, 1)
		}
		synctest.Wait()
		if got := h.held(); got != many+2 {
			t.Errorf("%d of %d new packets are bound", got-2, many)
		}
	})
}

// Deliveries grow the window and let packets be retried before they are due.
func TestDeliveriesGrowTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		const many = 100
		for range many {
			h.add(t, 1)
		}
		synctest.Wait()
		// Until the delay of each packet is a minute.
		for attempts := h.failAll(false); attempts < many*len(retryDelays); attempts += h.failAll(false) {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for h.held() == 0 {
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		rounds, delivered := 0, 0
		for ; delivered < many && rounds < 20; rounds++ {
			delivered += h.deliverAll()
			synctest.Wait()
		}
		if rounds > 10 { // the window doubles in each round
			t.Errorf("%d of %d packets were delivered in %d rounds", delivered, many, rounds)
		}
	})
}

// Expediting may change the order of due times.
func TestExpediteKeepsTheHeap(t *testing.T) {
	var q failedRetries
	now := time.Now()
	for i := range 20 {
		p := &upstream.Delivery{Packet: &packet.Packet{}}
		for range 1 + i*7%len(retryDelays) {
			fail(p, now.Add(time.Duration(i*13%20)*time.Millisecond), false)
		}
		q.push(*p)
	}
	q.expedite()
	later := now.Add(retryDelays[1] + time.Second)
	got := q.take(nil, q.ready(20, later), later)
	for i := 1; i < len(got); i++ {
		if got[i].Failures.Due.Before(got[i-1].Failures.Due) {
			t.Errorf("the packet that is due at %v is taken after one at %v", got[i].Failures.Due, got[i-1].Failures.Due)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d of 20 are ready", len(got))
	}
}

// A failure halves the window and ends early retries.
func TestFailureHalvesTheWindow(t *testing.T) {
	q := failedRetries{retryQueue: retryQueue{window: 40, outstanding: 1, early: 30}}
	p := &upstream.Delivery{Packet: &packet.Packet{}}
	fail(p, time.Now(), false)
	p.Failures.ScheduledAttempts = 1
	fail(p, time.Now(), false)
	q.push(*p)
	if q.window != 20 || q.early != 0 || q.outstanding != 0 {
		t.Errorf("afterwards the window is %d, early %d, outstanding %d", q.window, q.early, q.outstanding)
	}
	q.take(nil, q.ready(1, time.Now().Add(time.Hour)), time.Now().Add(time.Hour))
	q.push(*p) // without another attempt
	if q.window != 20 || q.outstanding != 0 || !p.Failures.Due.Before(time.Now().Add(2*time.Second)) {
		t.Errorf("after a nack without an attempt the window is %d, outstanding %d, and the packet is due at %v", q.window, q.outstanding, p.Failures.Due)
	}
}

// Deliveries let packets be retried before they are due, but none that failed alone at
// analyzers that accept others.
func TestIsolatedFailuresAreNotRetriedEarly(t *testing.T) {
	now := time.Now()
	q := failedRetries{retryQueue: retryQueue{early: 9}}
	push := func(sequence uint64, failures int, isolated bool) {
		p := &upstream.Delivery{Packet: &packet.Packet{Sequence: sequence}}
		for range failures {
			fail(p, now, isolated)
		}
		q.push(*p)
	}
	take := func(at time.Time) (taken []uint64) {
		for _, d := range q.take(nil, q.ready(20, at), at) {
			taken = append(taken, d.Packet.Sequence)
		}
		return taken
	}
	push(1, 2, false)
	push(2, 3, true)
	push(3, 1, true)
	if got := take(now); !slices.Equal(got, []uint64{3, 1}) {
		t.Errorf("at once %v are taken, want 3, which is due, and 1", got)
	}
	if got := take(now); len(got) > 0 || q.ready(20, now) > 0 {
		t.Errorf("%v, which failed alone, is taken before it is due", got)
	}
	if got := take(now.Add(retryDelays[2])); !slices.Equal(got, []uint64{2}) {
		t.Errorf("when it is due %v are taken, want 2", got)
	}
}

// Packets are taken in the order of their due times.
func TestFirstDuePacketIsTakenFirst(t *testing.T) {
	var q failedRetries
	now := time.Now()
	for i := range 20 {
		p := &upstream.Delivery{Packet: &packet.Packet{Sequence: uint64(i)}}
		fail(p, now.Add(-time.Duration(i*7%20)*time.Second), false)
		q.push(*p)
	}
	got := q.take(nil, q.ready(20, now), now)
	if len(got) != 20 {
		t.Fatalf("%d of 20 are ready", len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i].Failures.Last.Before(got[i-1].Failures.Last) {
			t.Errorf("packet %d is before %d", got[i-1].Packet.Sequence, got[i].Packet.Sequence)
		}
	}
}

// The retry budget limits retries of failed packets.
func TestRetryBudgetLimitsFailedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		for range retrybudget.MinRetries / 2 {
			h.add(t, 1)
		}
		synctest.Wait()
		h.failAll(false)
		synctest.Wait()
		retries := 0
		for range retrybudget.MinRetries {
			retries += h.held()
			h.deliverAll()
			for range 3 {
				h.add(t, 1)
			}
			synctest.Wait()
			h.failAll(false)
			synctest.Wait()
		}
		h.retryBudget.RecordFirst(0, time.Now())
		if left := h.retryBudget.Take(unlimited, time.Now()); left != 0 {
			t.Errorf("after %d retries the budget is still %d", retries, left)
		}
	})
}

// Quarantined packets are counted until they are settled, and logged once.
func TestQuarantineIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		for round := range 2 {
			for range 3 {
				h.add(t, 1)
			}
			synctest.Wait()
			for failures := 0; failures < 3*quarantineFailures; {
				if got := h.Stats().Quarantined; got > 0 && failures < quarantineFailures {
					t.Errorf("after %d failures %d packets are quarantined", failures, got)
				}
				failures += h.failAll(true)
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if got := h.Stats().Quarantined; got != 3 {
				t.Errorf("%d packets are quarantined, want 3", got)
			}
			for left := 2; left >= 0; left-- {
				time.Sleep(time.Minute)
				synctest.Wait()
				p := h.analyzers[0].take(1)
				if left == 1 {
					h.Rejected("a0", []upstream.Rejection{{Delivery: p[0], Reason: "keeps_failing"}})
				} else {
					h.Delivered("a0", p)
				}
				if got := h.Stats().Quarantined; got != left {
					t.Errorf("%d packets are quarantined, want %d", got, left)
				}
			}
			log := h.log.String()
			if begun, ended := strings.Count(log, "failing with a packet"), strings.Count(log, "no packet is quarantined"); begun != round+1 || ended != round+1 {
				t.Errorf("%d beginnings and %d ends are logged: %s", begun, ended, log)
			}
			if !strings.Contains(log, "packet_id=1 analyzer=a0 cause=\"answered 500\"") {
				t.Errorf("the packet is not named: %s", log)
			}
		}
	})
}

// Draining limits the delays.
func TestDrainExpeditesFailedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		h.add(t, 1)
		synctest.Wait()
		for range len(retryDelays) {
			h.failAll(false)
			time.Sleep(retryDelays[len(retryDelays)-1] + time.Second)
			synctest.Wait()
		}
		h.failAll(false)
		h.Drain()
		for range 3 {
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			if h.held() != 0 {
				t.Error("the packet is not delayed")
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if h.held() != 1 {
				t.Error("the packet is still delayed")
			}
			h.failAll(false)
		}
	})
}

// After a drain that was revoked the delays are those of before.
func TestResumeRestoresTheDelays(t *testing.T) {
	for name, failAgain := range map[string]func(*harness){
		"failed": func(h *harness) { h.failAll(true) },
		"rejected without a dead letter": func(h *harness) {
			h.store.failFor(allPackets)
			h.rejectAll()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := started(t, 1)
				h.add(t, 1)
				synctest.Wait()
				for range len(retryDelays) {
					failAgain(h)
					time.Sleep(retryDelays[len(retryDelays)-1] + time.Second)
					synctest.Wait()
				}
				h.Drain()
				h.Resume()
				failAgain(h)
				time.Sleep(retryDelays[len(retryDelays)-1] / 2)
				synctest.Wait()
				if h.held() != 0 {
					t.Error("the packet is retried as early as during the drain")
				}
			})
		})
	}
}
