package ingest

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

const (
	// maxRefusedEmitters are counted; the id of each has at most packet.MaxIDBytes.
	maxRefusedEmitters = 64
	// refusalHalfLife is after how long a refusal counts half.
	refusalHalfLife = time.Minute
	// refusalLogInterval is the time between two log lines, at least.
	refusalLogInterval = 10 * time.Second
)

// RefusedEmitter is an emitter of which packets were refused.
type RefusedEmitter struct {
	EmitterID string
	// Packets were refused lately: the number halves each minute. It may be as much
	// too large as the smallest number in a full list.
	Packets int64
	// Code is why the last one was, at the time Last.
	Code problem.Code
	Last time.Time
}

// refusedEmitters counts refused packets by emitter, for those that are refused most
// (A. Metwally and others, "Efficient Computation of Frequent and Top-k Elements in
// Data Streams", 2005: Space-Saving). It may be used concurrently.
type refusedEmitters struct {
	logger *slog.Logger

	mu     sync.Mutex // guards all below
	counts map[string]*RefusedEmitter
	halved time.Time
	logged time.Time
	silent int64 // packets refused since logged
}

func newRefusedEmitters(logger *slog.Logger) *refusedEmitters {
	return &refusedEmitters{logger: logger, counts: make(map[string]*RefusedEmitter)}
}

// add counts a packet, and logs it unless that was done a moment ago.
func (r *refusedEmitters) add(id packet.Text, body []byte, why *problem.Problem, now time.Time) {
	var scratch [256]byte
	emitter := id.AppendDecoded(scratch[:0], body)
	if len(emitter) == 0 {
		return // which is not known of what is no packet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halveLocked(now)
	one := r.counts[string(emitter)]
	if one == nil {
		one = r.enterLocked(string(emitter))
	}
	one.Packets++
	one.Code, one.Last = why.Code, now
	r.silent++
	if now.Sub(r.logged) >= refusalLogInterval {
		r.logger.Warn("packets are refused; the emitter is that of the last one",
			"packets", r.silent, "emitter_id", one.EmitterID, "packet_id", why.PacketID, "code", string(why.Code), "detail", why.Detail)
		r.logged, r.silent = now, 0
	}
}

// halveLocked lets what was counted before count less.
func (r *refusedEmitters) halveLocked(now time.Time) {
	if r.halved.IsZero() {
		r.halved = now
	}
	for ; now.Sub(r.halved) >= refusalHalfLife; r.halved = r.halved.Add(refusalHalfLife) {
		if len(r.counts) == 0 {
			r.halved = now
			return
		}
		for id, one := range r.counts {
			if one.Packets /= 2; one.Packets == 0 {
				delete(r.counts, id)
			}
		}
	}
}

// enterLocked returns a count for an emitter: a new one, or that of the emitter that
// has fewest.
func (r *refusedEmitters) enterLocked(emitter string) *RefusedEmitter {
	one := new(RefusedEmitter)
	if len(r.counts) >= maxRefusedEmitters {
		for _, other := range r.counts {
			if one.EmitterID == "" || other.Packets < one.Packets {
				one = other
			}
		}
		delete(r.counts, one.EmitterID)
	}
	one.EmitterID = emitter
	r.counts[emitter] = one
	return one
}

// top returns the emitters that were refused most, at most n.
func (r *refusedEmitters) top(n int, now time.Time) []RefusedEmitter {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halveLocked(now)
	list := make([]RefusedEmitter, 0, len(r.counts))
	for _, one := range r.counts {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b RefusedEmitter) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.EmitterID, b.EmitterID))
	})
	return list[:min(n, len(list))]
}

// RefusedEmitters returns the emitters of which most packets were refused lately, at
// most n. It may be called concurrently.
func (h *Handler) RefusedEmitters(n int) []RefusedEmitter {
	return h.refusedEmitters.top(n, time.Now())
}
