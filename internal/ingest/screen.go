package ingest

import (
	"fmt"
	"time"

	"logstreamer/internal/dedupe"
	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
)

// entrant is a checked packet that asks to be accepted.
type entrant struct {
	packet *packet.Packet
	line   int // its number in an NDJSON body, from 1
	// claim is this request's, to be ended; other is another request's for the
	// same packet, to be waited for.
	claim, other *dedupe.Claim
	duplicate    bool // the packet was accepted before
}

// screen decides about a packet what can be decided without the journal.
func (h *Handler) screen(e *entrant) *problem.Problem {
	p := e.packet
	if mark, shed := h.config.Shed.sheds(p.Level, h.deps.Fullness); shed {
		return h.about(p, problem.Problem{
			Code:   problem.Shed,
			Detail: fmt.Sprintf("packets of level %s and below are refused while more than %g %% of the room is in use", mark.Level, 100*mark.Fullness),
		})
	}
	if h.deps.Duplicates != nil && h.isDuplicate(e) {
		return nil
	}
	if wait, ok := h.deps.Limiter.Take(p.EmitterID.Raw(p.Body), p.Messages, p.Accepted); !ok {
		e.end(false)
		return h.about(p, problem.Problem{
			Code:       problem.RateLimited,
			Detail:     "this emitter_id sends more messages per second than it may",
			RetryAfter: seconds(wait),
		})
	}
	return nil
}

// isDuplicate asks for the packet. It is one, or may be, unless the claim is
// this request's.
func (h *Handler) isDuplicate(e *entrant) bool {
	var room [512]byte
	p := e.packet
	ids := p.EmitterID.AppendDecoded(room[:0], p.Body)
	emitter := len(ids)
	ids = p.PacketID.AppendDecoded(ids, p.Body)
	state, claim := h.deps.Duplicates.Begin(dedupe.KeyOf(ids[:emitter], ids[emitter:]), p.Accepted)
	switch state {
	case dedupe.Known:
		e.duplicate = true
	case dedupe.Underway:
		e.other = claim
	default:
		e.claim = claim
	}
	return state != dedupe.New
}

// end tells the window, and those who wait, what became of the packet.
func (e *entrant) end(accepted bool) {
	if e.claim != nil {
		e.claim.End(accepted)
		e.claim = nil
	}
}

// turnedDown undoes what screen charged, for a packet that the journal did not
// take.
func (h *Handler) turnedDown(e *entrant) {
	e.end(false)
	h.deps.Limiter.Return(e.packet.EmitterID.Raw(e.packet.Body), e.packet.Messages)
}

// resolve waits for the request that had the claim. What that one was refused
// is refused here too.
func (h *Handler) resolve(e *entrant) *problem.Problem {
	if e.other == nil || e.other.Wait() {
		e.duplicate = e.duplicate || e.other != nil
		return nil
	}
	return h.about(e.packet, *notNow(problem.Overloaded))
}

func (h *Handler) about(p *packet.Packet, why problem.Problem) *problem.Problem {
	why.PacketID = string(p.PacketID.AppendDecoded(nil, p.Body))
	return &why
}

// seconds rounds a wait up to what Retry-After can say.
func seconds(wait time.Duration) int {
	const most = 60
	return int(min(max((wait+time.Second-1)/time.Second, 1), most))
}
