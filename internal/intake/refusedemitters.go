package intake

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// maxRefusedEmitters bounds the emitters that are counted; the id of each has at most
	// packet.MaxIDBytes.
	maxRefusedEmitters = 64
	// refusalHalfLife is the time after which the weight of a refusal has halved.
	refusalHalfLife = time.Minute
	// refusalLogInterval is the minimum time between two log lines.
	refusalLogInterval = 10 * time.Second
)

// RefusedEmitter is an emitter with refused packets.
type RefusedEmitter struct {
	EmitterID string
	// Packets is the number of packets refused lately: it halves each minute. It may exceed the
	// true number by up to the smallest number in a full list.
	Packets int64
	// Reason is the reason of the latest refusal, at the time Last.
	Reason string
	Last   time.Time
	// Reasons are the packets by reason, each number halved in the same way. Their sum lacks the
	// possible excess of Packets.
	Reasons []RefusedReason
}

// RefusedReason is the number of packets that were refused for a reason.
type RefusedReason struct {
	Reason  string
	Packets int64
}

// count counts a packet that was refused.
func (e *RefusedEmitter) count(reason string, now time.Time) {
	e.Packets++
	e.Reason, e.Last = reason, now
	at := slices.IndexFunc(e.Reasons, func(one RefusedReason) bool { return one.Reason == reason })
	if at < 0 {
		at = len(e.Reasons)
		e.Reasons = append(e.Reasons, RefusedReason{Reason: reason})
	}
	e.Reasons[at].Packets++
}

// halve applies refusalHalfLife.
func (e *RefusedEmitter) halve() {
	e.Packets /= 2
	for i := range e.Reasons {
		e.Reasons[i].Packets /= 2
	}
	e.Reasons = slices.DeleteFunc(e.Reasons, func(one RefusedReason) bool { return one.Packets == 0 })
}

// refusedEmitters counts refused packets by emitter, for the emitters with the most refusals (A.
// Metwally and others, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
// 2005: Space-Saving). It may be used concurrently.
type refusedEmitters struct {
	logger *slog.Logger

	mu     sync.Mutex // guards all below
	counts map[string]*RefusedEmitter
	halved time.Time
	logged time.Time
	silent int64 // packets refused since the latest log line
}

func newRefusedEmitters(logger *slog.Logger) *refusedEmitters {
	return &refusedEmitters{logger: logger, counts: make(map[string]*RefusedEmitter)}
}

// RefusedPacket describes the refusal of a packet.
type RefusedPacket struct{ Reason, Detail, PacketID string }

// RecordRefused counts a packet that a protocol refused. Screen and batches count the packets that
// they refuse themselves.
func (i *Intake) RecordRefused(emitter packet.Text, body []byte, why RefusedPacket, now time.Time) {
	i.noteRefused(packet.Info{EmitterID: emitter}, body, why, now)
}

func (i *Intake) noteRefused(info packet.Info, body []byte, why RefusedPacket, now time.Time) {
	i.refusedEmitters.add(info.EmitterID, body, why, now)
	if i.deps.OnRefusal != nil && !info.EmitterID.IsEmpty() {
		i.deps.OnRefusal(info, body, why)
	}
}

// add counts a packet, and logs it unless a packet was logged within refusalLogInterval.
func (r *refusedEmitters) add(id packet.Text, body []byte, why RefusedPacket, now time.Time) {
	var scratch [256]byte
	emitter := id.AppendDecoded(scratch[:0], body)
	if len(emitter) == 0 {
		return // the body is no packet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halveLocked(now)
	one := r.counts[string(emitter)]
	if one == nil {
		one = r.enterLocked(string(emitter))
	}
	one.count(why.Reason, now)
	r.silent++
	if now.Sub(r.logged) >= refusalLogInterval {
		r.logger.Warn("packets are refused; the emitter is that of the last one",
			"packets", r.silent, "emitter_id", one.EmitterID, "packet_id", why.PacketID, "code", why.Reason, "detail", why.Detail)
		r.logged, r.silent = now, 0
	}
}

// halveLocked applies refusalHalfLife.
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
			if one.halve(); one.Packets == 0 {
				delete(r.counts, id)
			}
		}
	}
}

// enterLocked returns the counter of an emitter: a new one, or the smallest one of a full list.
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
	one.EmitterID, one.Reasons = emitter, nil
	r.counts[emitter] = one
	return one
}

// top returns up to n emitters with the largest counts.
func (r *refusedEmitters) top(n int, now time.Time) []RefusedEmitter {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halveLocked(now)
	list := make([]RefusedEmitter, 0, len(r.counts))
	for _, one := range r.counts {
		copied := *one
		copied.Reasons = slices.SortedFunc(slices.Values(one.Reasons), func(a, b RefusedReason) int {
			return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason))
		})
		list = append(list, copied)
	}
	slices.SortFunc(list, func(a, b RefusedEmitter) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.EmitterID, b.EmitterID))
	})
	return list[:min(n, len(list))]
}

// RefusedEmitters returns up to n emitters with the most refused packets lately.
func (i *Intake) RefusedEmitters(n int) []RefusedEmitter {
	return i.refusedEmitters.top(n, time.Now())
}
