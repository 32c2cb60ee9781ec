package ingest

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// candidate is a checked packet that asks to be accepted.
type candidate struct {
	packet *packet.Packet
	line   int // its number in an NDJSON body, from 1
	// reservation is this request's, to be ended; other is another request's for the
	// same packet, to be waited for.
	reservation, other *dedupe.Reservation
	duplicate          bool // the packet was accepted before
}

// screen decides about a packet what can be decided without the journal. One
// that was accepted before is not refused, whatever the reason.
func (h *Handler) screen(e *candidate) *problem.Problem {
	p := e.packet
	if h.deps.Duplicates != nil && h.isDuplicate(e) {
		return nil
	}
	why := h.shed(p)
	if why == nil && h.deps.Limiter != nil {
		why = h.charge(p)
	}
	if why != nil {
		h.refusedEmitters.add(p.EmitterID, p.Body, why, p.Accepted)
		e.refuse(why)
	}
	return why
}

// isDuplicate asks for the packet. It is one, or may be, unless the reservation is
// this request's.
func (h *Handler) isDuplicate(e *candidate) bool {
	state, reservation := h.deps.Duplicates.Begin(e.packet.Info, e.packet.Body, e.packet.Accepted)
	switch state {
	case dedupe.Duplicate:
		e.duplicate = true
	case dedupe.InFlight:
		e.other = reservation
	default:
		e.reservation = reservation
	}
	return state != dedupe.New
}

// shed tells why a packet is not important enough now.
func (h *Handler) shed(p *packet.Packet) *problem.Problem {
	mark, shed := h.config.Shed.sheds(p.Level, h.deps.Utilization)
	if !shed {
		return nil
	}
	h.metrics.shed[p.Level].Inc()
	return about(p, problem.Problem{
		Code:   problem.Shed,
		Detail: fmt.Sprintf("packets of level %s and below are refused while more than %.6g %% of the room is in use", mark.Level, 100*mark.Utilization),
	})
}

// charge tells why an emitter may not send a packet now.
func (h *Handler) charge(p *packet.Packet) *problem.Problem {
	var room [256]byte
	wait, ok := h.deps.Limiter.Take(p.EmitterID.AppendDecoded(room[:0], p.Body), p.Messages, p.Accepted)
	if ok {
		return nil
	}
	return about(p, problem.Problem{
		Code:       problem.RateLimited,
		Detail:     details[problem.RateLimited],
		RetryAfter: seconds(wait),
	})
}

// accept ends the packet's reservation, if there is one: it was accepted.
func (e *candidate) accept() {
	if e.reservation != nil {
		e.reservation.End(nil)
	}
}

// refuse ends the packet's reservation, if there is one: it was refused, and so it is
// for those who wait for it.
func (e *candidate) refuse(why *problem.Problem) {
	if e.reservation != nil {
		e.reservation.End(why)
	}
}

// rollback undoes what screen charged, for a packet that the journal did not
// take, and returns its refusal.
func (h *Handler) rollback(e *candidate, err error) *problem.Problem {
	p := e.packet
	var room [512]byte
	h.deps.Limiter.Refund(p.EmitterID.AppendDecoded(room[:0], p.Body), p.Messages)
	why := about(p, *notNow(codeOf(err)))
	h.refusedEmitters.add(p.EmitterID, p.Body, why, p.Accepted)
	e.refuse(why)
	return why
}

// resolve waits for the request that has the reservation for the same packet, if
// there is one, and shares its fate.
func (e *candidate) resolve() *problem.Problem {
	if e.other == nil {
		return nil
	}
	refusal := e.other.Wait()
	if refusal == nil {
		e.duplicate = true
		return nil
	}
	return refusal.(*problem.Problem) // which is what reservations end with here
}

// about completes a refusal with the packet's id.
func about(p *packet.Packet, why problem.Problem) *problem.Problem {
	why.PacketID = string(p.PacketID.AppendDecoded(nil, p.Body))
	return &why
}
