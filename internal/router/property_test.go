package router

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// In random sequences of events each packet is in exactly one place, the stats are
// consistent after every step, and no analyzer is offered more than its capacity.
func TestStatsAreConsistentInRandomHistories(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.05, 1), 1, 4).Draw(r, "weights")
		h := newHarness(t, weights...)
		now := time.Now()
		h.tick(now)
		settled := 0
		some := func(a *analyzer) []upstream.Delivery {
			return a.take(rapid.IntRange(1, 20).Draw(r, "packets"))
		}
		any := func() *analyzer {
			return h.analyzers[rapid.IntRange(0, len(h.analyzers)-1).Draw(r, "analyzer")]
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) {
				for range rapid.IntRange(1, 30).Draw(r, "number") {
					h.add(t, rapid.IntRange(1, 100).Draw(r, "messages"))
				}
			},
			"round": func(*rapid.T) { h.round(t.Context(), now) },
			"tick":  func(*rapid.T) { h.tick(now) },
			"time passes": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(r, "ms")) * time.Millisecond)
			},
			"capacity": func(*rapid.T) {
				a := any()
				a.capacity = rapid.SampledFrom([]int{0, 0, 1, 5, 1000}).Draw(r, "capacity")
				a.transient = rapid.Bool().Draw(r, "transient")
				a.belowLowWatermark = rapid.Bool().Draw(r, "below low watermark")
				a.ramp = rapid.Float64Range(0.05, 1).Draw(r, "weight")
			},
			"delivered": func(*rapid.T) {
				a := any()
				if taken := some(a); len(taken) > 0 {
					settled += len(taken)
					h.Delivered(a.id, taken)
				}
			},
			"rejected": func(*rapid.T) {
				a := any()
				for _, p := range some(a) {
					settled++
					h.Rejected(a.id, []upstream.Rejection{{Delivery: p, Reason: "malformed"}})
				}
			},
			"rejected, dead letter not written": func(*rapid.T) {
				a := any()
				if taken := some(a); len(taken) > 0 {
					h.store.failFor(func(*packet.Packet) bool {
						fails := rapid.Bool().Draw(r, "fails")
						if !fails {
							settled++
						}
						return fails
					})
					h.reject(a, taken)
					h.store.failFor(nil)
				}
			},
			"nacked": func(*rapid.T) {
				a := any()
				if taken := some(a); len(taken) > 0 {
					h.Nacked(a.id, taken)
				}
			},
			"failed": func(*rapid.T) {
				a := any()
				for _, p := range some(a) {
					fail(&p, now, rapid.Bool().Draw(r, "isolated"))
					h.Nacked(a.id, []upstream.Delivery{p})
				}
			},
			"": func(r *rapid.T) { check(r, h, settled) },
		})
	})
}

func check(r *rapid.T, h *harness, settled int) {
	stats, journal := h.Stats(), h.journal.Stats()
	var bound packet.Volume
	seen := make(map[uint64]bool)
	deadLetterRetries, outstanding, quarantined := 0, 0, 0 // the last two of the retry queue
	count := func(p upstream.Delivery) {
		switch {
		case p.DeadLetterPending:
			deadLetterRetries++
		case p.Failures != nil:
			outstanding++
			quarantined += quarantinedOf(p)
		}
	}
	for _, p := range h.pending {
		count(p)
	}
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
			count(p)
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

func quarantinedOf(p upstream.Delivery) int {
	if p.Failures.IsolatedFailures >= quarantineFailures {
		return 1
	}
	return 0
}
