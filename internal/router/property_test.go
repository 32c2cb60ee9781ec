package router

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// randomHistory is a harness whose events rapid chooses.
type randomHistory struct {
	*harness
	t       *testing.T
	now     time.Time
	settled int
}

func newRandomHistory(t *testing.T, weights ...float64) *randomHistory {
	h := &randomHistory{newHarness(t, weights...), t, time.Now(), 0}
	h.Tick(h.now)
	return h
}

func (h *randomHistory) anyAnalyzer(r *rapid.T) *analyzer {
	return h.analyzers[rapid.IntRange(0, len(h.analyzers)-1).Draw(r, "analyzer")]
}

func (h *randomHistory) takeSome(r *rapid.T, a *analyzer) []upstream.Delivery {
	return a.take(rapid.IntRange(1, 20).Draw(r, "packets"))
}

func (h *randomHistory) append(r *rapid.T) {
	for range rapid.IntRange(1, 30).Draw(r, "number") {
		h.add(h.t, rapid.IntRange(1, 100).Draw(r, "messages"))
	}
}

func (h *randomHistory) passTime(r *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(r, "ms")) * time.Millisecond)
}

func (h *randomHistory) changeCapacity(r *rapid.T) {
	a := h.anyAnalyzer(r)
	a.capacity = rapid.SampledFrom([]int{0, 0, 1, 5, 1000}).Draw(r, "capacity")
	a.transient = rapid.Bool().Draw(r, "transient")
	a.belowLowWatermark = rapid.Bool().Draw(r, "below low watermark")
	a.ramp = rapid.Float64Range(0.05, 1).Draw(r, "weight")
}

func (h *randomHistory) deliver(r *rapid.T) {
	a := h.anyAnalyzer(r)
	if taken := h.takeSome(r, a); len(taken) > 0 {
		h.settled += len(taken)
		h.Delivered(a.id, taken)
	}
}

func (h *randomHistory) rejectSome(r *rapid.T) {
	a := h.anyAnalyzer(r)
	for _, p := range h.takeSome(r, a) {
		h.settled++
		h.Rejected(a.id, []upstream.Rejection{{Delivery: p, Reason: "malformed"}})
	}
}

// rejectUnwritten rejects packets of which some dead letters cannot be written.
func (h *randomHistory) rejectUnwritten(r *rapid.T) {
	a := h.anyAnalyzer(r)
	if taken := h.takeSome(r, a); len(taken) > 0 {
		h.store.failFor(func(*packet.Packet) bool {
			fails := rapid.Bool().Draw(r, "fails")
			if !fails {
				h.settled++
			}
			return fails
		})
		h.reject(a, taken)
		h.store.failFor(nil)
	}
}

func (h *randomHistory) nack(r *rapid.T) {
	a := h.anyAnalyzer(r)
	if taken := h.takeSome(r, a); len(taken) > 0 {
		h.Nacked(a.id, taken)
	}
}

func (h *randomHistory) failSome(r *rapid.T) {
	a := h.anyAnalyzer(r)
	for _, p := range h.takeSome(r, a) {
		fail(&p, h.now, rapid.Bool().Draw(r, "isolated"))
		h.Nacked(a.id, []upstream.Delivery{p})
	}
}

// In random sequences of events each packet is in exactly one place, the stats are
// consistent after every step, and no analyzer is offered more than its capacity.
func TestStatsAreConsistentInRandomHistories(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := newRandomHistory(t, rapid.SliceOfN(rapid.Float64Range(0.05, 1), 1, 4).Draw(r, "weights")...)
		r.Repeat(map[string]func(*rapid.T){
			"append":                            h.append,
			"round":                             func(*rapid.T) { h.Round(t.Context(), h.now) },
			"tick":                              func(*rapid.T) { h.Tick(h.now) },
			"time passes":                       h.passTime,
			"capacity":                          h.changeCapacity,
			"delivered":                         h.deliver,
			"rejected":                          h.rejectSome,
			"rejected, dead letter not written": h.rejectUnwritten,
			"nacked":                            h.nack,
			"failed":                            h.failSome,
			"":                                  func(r *rapid.T) { check(r, h.harness, h.settled) },
		})
	})
}

// check checks that the stats of the router and of its journal agree with the packets that are
// in the harness.
func check(r *rapid.T, h *harness, settled int) {
	stats, journal := h.Stats(), h.journal.Stats()
	bound := checkBound(r, h, stats)
	checkRetryQueue(r, h, stats)
	done := stats.Delivered.Plus(stats.DeadLettered)
	if done != journal.Acknowledged || done.Packets != int64(settled) {
		r.Fatalf("%d settled, the router counts %v and the journal %v", settled, done, journal.Acknowledged)
	}
	if got := bound.Plus(stats.Waiting); got != journal.Claimed {
		r.Fatalf("claimed: %v; bound and waiting: %v", journal.Claimed, got)
	}
	var held packet.Volume
	for _, m := range stats.Members {
		if m.DeviationMessages > stats.MaxDeviationMessages || -m.DeviationMessages > stats.MaxDeviationMessages {
			r.Fatalf("%s has a deviation of %v, the maximum is %v", m.ID, m.DeviationMessages, stats.MaxDeviationMessages)
		}
		held = held.Plus(m.Held())
	}
	if len(h.removed) > 0 {
		return // the stats of removed members are gone
	}
	requeued := held.Minus(bound).Minus(done)
	if requeued.Packets < 0 || requeued.Packets > stats.Waiting.Packets || requeued.Messages > stats.Waiting.Messages {
		r.Fatalf("held: %v; bound: %v; settled: %v; waiting: %v", held, bound, done, stats.Waiting)
	}
}

// checkBound checks that each packet is bound to one analyzer, and each analyzer to no more
// packets than its capacity, and returns the volume of the bound packets.
func checkBound(r *rapid.T, h *harness, stats Stats) (bound packet.Volume) {
	seen := make(map[uint64]bool)
	for i, a := range h.analyzers {
		if got := stats.Members[i].Bound(); got != upstream.VolumeOf(a.bound) {
			r.Fatalf("%s holds %v, its statistics say %v", a.id, upstream.VolumeOf(a.bound), got)
		}
		if a.capacity < 0 {
			r.Fatalf("%s was offered %d packets more than its capacity", a.id, -a.capacity)
		}
		for _, p := range a.bound {
			if seen[p.Packet.Sequence] || p.Analyzer != a.id {
				r.Fatalf("packet %d is bound twice, or elsewhere", p.Packet.Sequence)
			}
			seen[p.Packet.Sequence] = true
			bound.Add(p.Packet)
		}
	}
	return bound
}

// checkRetryQueue checks the counters of the failed packets and of the pending dead letters.
func checkRetryQueue(r *rapid.T, h *harness, stats Stats) {
	deadLetterRetries, outstanding, quarantined := 0, 0, 0
	routed := slices.Clone(h.pending)
	for _, a := range h.analyzers {
		routed = append(routed, a.bound...)
	}
	for _, p := range routed {
		switch {
		case p.DeadLetterPending:
			deadLetterRetries++
		case p.Failures != nil:
			outstanding++
			quarantined += quarantinedOf(p)
		}
	}
	for _, p := range h.requeue.failed.waiting {
		quarantined += quarantinedOf(p.Delivery)
	}
	if h.requeue.failed.outstanding != outstanding || stats.Quarantined != quarantined || h.requeue.failed.early < 0 {
		r.Fatalf("%d failed packets are outstanding and %d quarantined, early is %d; want %d and %d",
			h.requeue.failed.outstanding, stats.Quarantined, h.requeue.failed.early, outstanding, quarantined)
	}
	if h.requeue.deadLetters.outstanding != deadLetterRetries {
		r.Fatalf("%d packets with pending dead letters are outstanding, want %d", h.requeue.deadLetters.outstanding, deadLetterRetries)
	}
}

func quarantinedOf(p upstream.Delivery) int {
	if p.Failures.IsolatedFailures >= quarantineFailures {
		return 1
	}
	return 0
}
