package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Whatever analyzers do, each packet is in exactly one place, the books add
// up after every step, and nobody is offered more than it has room for.
func TestBooksAddUpInEveryHistory(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.05, 1), 1, 4).Draw(r, "weights")
		w := newWorld(t, weights...)
		now := time.Now()
		w.tick(now)
		ended := 0
		some := func(a *analyzer) []*packet.Packet {
			return a.take(rapid.IntRange(1, 20).Draw(r, "packets"))
		}
		any := func() *analyzer {
			return w.analyzers[rapid.IntRange(0, len(w.analyzers)-1).Draw(r, "analyzer")]
		}
		r.Repeat(map[string]func(*rapid.T){
			"put": func(*rapid.T) {
				for range rapid.IntRange(1, 30).Draw(r, "number") {
					w.add(t, rapid.IntRange(1, 100).Draw(r, "messages"))
				}
			},
			"round": func(*rapid.T) { w.round(now) },
			"tick":  func(*rapid.T) { w.tick(now) },
			"time passes": func(*rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(r, "ms")) * time.Millisecond)
			},
			"room": func(*rapid.T) {
				a := any()
				a.room = rapid.SampledFrom([]int{0, 0, 1, 5, 1000}).Draw(r, "room")
				a.brief = rapid.Bool().Draw(r, "brief")
				a.resting = rapid.Bool().Draw(r, "resting")
				a.weight = rapid.Float64Range(0.05, 1).Draw(r, "weight")
			},
			"delivered": func(*rapid.T) {
				a := any()
				if mine := some(a); len(mine) > 0 {
					ended += len(mine)
					w.Delivered(a.position, mine)
				}
			},
			"refused": func(*rapid.T) {
				a := any()
				for _, p := range some(a) {
					ended++
					w.Refused(a.position, []upstream.Rejection{{Packet: p, Reason: "malformed"}})
				}
			},
			"refused, unwritten": func(*rapid.T) {
				a := any()
				if mine := some(a); len(mine) > 0 {
					w.letters.breaks(func(*packet.Packet) bool {
						broken := rapid.Bool().Draw(r, "broken")
						if !broken {
							ended++
						}
						return broken
					})
					w.refuse(a, mine)
					w.letters.breaks(nil)
				}
			},
			"returned": func(*rapid.T) {
				a := any()
				if mine := some(a); len(mine) > 0 {
					w.Returned(a.position, mine)
				}
			},
			"failed": func(*rapid.T) {
				a := any()
				for _, p := range some(a) {
					fail(p, now, rapid.Bool().Draw(r, "strike"))
					w.Returned(a.position, []*packet.Packet{p})
				}
			},
			"": func(r *rapid.T) { check(r, w, ended) },
		})
	})
}

func check(r *rapid.T, w *world, ended int) {
	books, stats := w.Books(), w.journal.Stats()
	var bound packet.Volume
	seen := make(map[uint64]bool)
	unwritten, out, apart := 0, 0, 0 // the last two of the ward
	count := func(p *packet.Packet) {
		switch {
		case p.Unwritten:
			unwritten++
		case p.Trouble != nil:
			out++
			apart += apartOf(p)
		}
	}
	for _, p := range w.pending {
		count(p)
	}
	for _, a := range w.analyzers {
		if a.room < 0 {
			r.Fatalf("%s was offered %d packets too many", a.id, -a.room)
		}
		for _, p := range a.bound {
			if seen[p.Sequence] || p.Analyzer != a.position {
				r.Fatalf("packet %d is bound twice, or elsewhere", p.Sequence)
			}
			seen[p.Sequence] = true
			bound.Add(p)
			count(p)
		}
	}
	for _, p := range w.ledger.ward.waiting {
		apart += apartOf(p)
	}
	if w.ledger.ward.out != out || books.SetApart != apart || w.ledger.ward.early < 0 {
		r.Fatalf("%d failed packets are out and %d set apart, %d more may go; found were %d and %d",
			w.ledger.ward.out, books.SetApart, w.ledger.ward.early, out, apart)
	}
	if w.ledger.unwritten.out != unwritten {
		r.Fatalf("%d packets with unwritten letters are out, found were %d", w.ledger.unwritten.out, unwritten)
	}
	done := books.Delivered.Plus(books.DeadLettered)
	if done != stats.Acknowledged || done.Packets != int64(ended) {
		r.Fatalf("%d ended, the books say %v and the journal %v", ended, done, stats.Acknowledged)
	}
	if got := bound.Plus(books.Waiting); got != stats.Claimed {
		r.Fatalf("claimed: %v; bound and waiting: %v", stats.Claimed, got)
	}
	var held packet.Volume
	for _, a := range books.Analyzers {
		if a.DeviationMessages > books.BoundMessages || -a.DeviationMessages > books.BoundMessages {
			r.Fatalf("%s is %v off its share, the bound is %v", a.ID, a.DeviationMessages, books.BoundMessages)
		}
		held = held.Plus(a.Held())
	}
	wandering := held.Minus(bound).Minus(done) // was bound, and came back
	if wandering.Packets < 0 || wandering.Packets > books.Waiting.Packets || wandering.Messages > books.Waiting.Messages {
		r.Fatalf("held: %v; bound: %v; ended: %v; waiting: %v", held, bound, done, books.Waiting)
	}
}

func apartOf(p *packet.Packet) int {
	if p.Trouble.Strikes >= strikesApart {
		return 1
	}
	return 0
}
