package router

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Packets whose dead letters cannot be written stay in the journal without a
// delivery result until writes succeed.
func TestUnwrittenDeadLettersAreNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		for range 4 {
			h.add(t, 10)
		}
		synctest.Wait()
		packets := h.analyzers[0].take(unlimited)
		results := make(chan packet.DeliveryResult, 4)
		for _, p := range packets {
			p.Packet.DeliveryChan = results
		}
		h.store.failFor(func(p *packet.Packet) bool { return p.Sequence%2 == 0 })
		h.reject(h.analyzers[0], packets)
		synctest.Wait()
		routed, journal := h.Stats(), h.journal.Stats()
		if routed.DeadLettered.Packets != 2 || journal.Acknowledged.Messages != 20 || len(results) != 2 {
			t.Errorf("%d dead letters, %v acknowledged, %d results", routed.DeadLettered.Packets, journal.Acknowledged, len(results))
		}
		if held := h.held(); int(routed.Waiting.Packets)+held != 2 || journal.Claimed.Packets != 2 {
			t.Errorf("%v waiting, %d outstanding, %v claimed", routed.Waiting, held, journal.Claimed)
		}
		h.store.failFor(nil)
		for range 3 {
			h.rejectAll()
			synctest.Wait()
		}
		routed, journal = h.Stats(), h.journal.Stats()
		if routed.DeadLettered.Messages != 40 || routed.Waiting.Packets != 0 || journal.Acknowledged.Packets != 4 || len(results) != 4 || h.held() != 0 {
			t.Errorf("finally the stats are %+v, the journal's %+v, with %d results", routed, journal, len(results))
		}
	})
}

// The result says that a packet was rejected also when the analyzer gave no detail.
func TestRejectionWithoutDetail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		h.add(t, 1)
		synctest.Wait()
		packets := h.analyzers[0].take(unlimited)
		results := make(chan packet.DeliveryResult, 1)
		packets[0].Packet.DeliveryChan = results
		h.Rejected(h.analyzers[0].id, []upstream.Rejection{{Delivery: packets[0], Reason: "invalid_packet"}})
		if result := <-results; result.Rejection != "invalid_packet" {
			t.Errorf("the rejection of the result is %q", result.Rejection)
		}
	})
}

// While dead letters cannot be written one packet is retried at a time, with
// backoff. Packets with failed attempts are not delayed, and the retries do not count
// as failures.
func TestUnwrittenDeadLettersAreRetriedWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		const many = 100
		for range many {
			h.add(t, 1)
		}
		synctest.Wait()
		h.store.failFor(allPackets)
		h.rejectAll()
		synctest.Wait()
		for _, wait := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if wait > 0 {
				time.Sleep(wait*time.Second - 10*time.Millisecond)
				synctest.Wait()
				if got := h.held(); got > 0 {
					t.Fatalf("%d are retried before %d s have passed", got, wait)
				}
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
			}
			if got := h.held(); got != 1 {
				t.Fatalf("%d are retried after %d s, want 1", got, wait)
			}
			h.rejectAll()
			synctest.Wait()
		}
		h.add(t, 1)
		synctest.Wait()
		h.failAll(false)
		synctest.Wait()
		if got := h.held(); got != 1 {
			t.Errorf("%d packets are retried at once, want the one with a failed attempt", got)
		}
		if taken := h.analyzers[0].take(1); len(taken) != 1 || taken[0].DeadLetterPending || taken[0].Failures == nil {
			t.Error("another packet is retried")
		} else if h.Delivered("a0", taken); h.Stats().Quarantined != 0 {
			t.Errorf("%d packets are quarantined", h.Stats().Quarantined)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, p := range h.analyzers[0].take(unlimited) {
			if p.Failures != nil {
				t.Errorf("a retry is recorded as a failure: %+v", p.Failures)
			}
			h.reject(h.analyzers[0], []upstream.Delivery{p})
		}
	})
}

// After the first success the queue drains fast, and does not use the retry budget.
func TestUnwrittenDeadLettersDrainFast(t *testing.T) {
	const many = 3 * retrybudget.MinRetries
	for name, settle := range map[string]func(*harness) int{
		"written":   func(h *harness) int { h.store.failFor(nil); return h.rejectAll() },
		"delivered": (*harness).deliverAll,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := started(t, 1, 1)
				for range many {
					h.add(t, 1)
				}
				synctest.Wait()
				h.store.failFor(allPackets)
				h.rejectAll()
				for range 20 { // until the delay is a minute
					time.Sleep(time.Minute)
					synctest.Wait()
					h.rejectAll()
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				settled, rounds := 0, 0
				for ; settled < many && rounds < 30; rounds++ {
					settled += settle(h)
					synctest.Wait()
				}
				if settled != many || rounds > 15 { // the window doubles in each round
					t.Errorf("%d of %d packets were settled in %d rounds", settled, many, rounds)
				}
				if left := h.retryBudget.Take(retrybudget.MinRetries, time.Now()); left != retrybudget.MinRetries {
					t.Errorf("the retry budget is %d", left)
				}
			})
		})
	}
}

// A failed write while the queue drains resets the window to one packet.
func TestFailedWriteResetsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		for range 100 {
			h.add(t, 1)
		}
		synctest.Wait()
		h.store.failFor(allPackets)
		h.rejectAll()
		synctest.Wait()
		for range 4 {
			h.deliverAll()
			synctest.Wait()
		}
		if got := h.rejectAll(); got != 16 {
			t.Errorf("%d are retried at once, want 16", got)
		}
		synctest.Wait()
		if got := h.held(); got != 1 {
			t.Errorf("after a failure %d are retried at once, want 1", got)
		}
	})
}

// A successful write of another dead letter ends the backoff.
func TestWriteEndsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		h.add(t, 1)
		synctest.Wait()
		h.store.failFor(allPackets)
		for range 10 {
			h.rejectAll()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		h.rejectAll()
		h.store.failFor(nil)
		h.add(t, 1)
		synctest.Wait()
		if h.rejectAll(); h.Stats().DeadLettered.Packets != 1 {
			t.Error("the other packet is not a dead letter")
		}
		synctest.Wait()
		if got := h.held(); got != 1 {
			t.Errorf("%d are retried at once, want 1", got)
		}
	})
}

// A nacked packet stays in the queue, and one with a failed attempt moves to the
// retry queue; each is settled once.
func TestUnwrittenDeadLettersThatAreNacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1)
		h.add(t, 1)
		synctest.Wait()
		for failures := 0; failures < quarantineFailures; {
			failures += h.failAll(true)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		h.store.failFor(allPackets)
		if h.rejectAll(); h.Stats().Quarantined != 0 {
			t.Error("a rejected packet is quarantined")
		}
		synctest.Wait()
		h.nackAllAttempted()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		h.failAll(true)
		if got := h.Stats().Quarantined; got != 1 {
			t.Errorf("%d packets are quarantined after another failure, want 1", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := h.deliverAll(); got != 1 {
			t.Fatalf("%d packets are delivered", got)
		}
		if q := &h.requeue; q.failed.outstanding != 0 || q.deadLetters.outstanding != 0 || h.Stats().Quarantined != 0 {
			t.Errorf("afterwards %d and %d are outstanding, %d quarantined", q.failed.outstanding, q.deadLetters.outstanding, h.Stats().Quarantined)
		}
	})
}

// Draining limits the delays.
func TestDrainExpeditesUnwrittenDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1)
		h.add(t, 1)
		synctest.Wait()
		h.store.failFor(allPackets)
		for range len(retryDelays) {
			h.rejectAll()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		h.rejectAll()
		h.Drain()
		synctest.Wait()
		for range 3 {
			if h.rejectAll() != 1 {
				t.Error("the packet is still delayed")
			}
			time.Sleep(1200 * time.Millisecond)
			synctest.Wait()
		}
		if failures := h.store.failures; failures > 13 || !slices.Equal(h.store.stored, nil) {
			t.Errorf("%d writes failed, stored are %v", failures, h.store.stored)
		}
	})
}
