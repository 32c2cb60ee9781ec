package intake

import (
	"math"
	"time"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Candidate is a packet to be admitted.
type Candidate struct {
	// Packet is lent by Memory and checked; its Info, Accepted and Traceparent are set.
	Packet *packet.Packet
	// Principal is the authenticated name of the emitter, or empty.
	Principal string
	// Rate bounds the messages per second of all emitters of the principal; 0 is no limit.
	Rate float64

	// reservation is that of this request, which must be ended; other is that of another request
	// for the same packet, to wait for.
	reservation, other *dedupe.Reservation
	result             int // its index in a batch's results
}

// InFlight reports whether another request is storing the same packet, so that Accept
// waits for it. Such a candidate cannot be submitted.
func (c *Candidate) InFlight() bool { return c.other != nil }

// Outcome is the result of the admission of a packet.
type Outcome uint8

const (
	// Undecided: the candidate must be added to a batch.
	Undecided Outcome = iota
	// Accepted: the journal has the packet.
	Accepted
	// Duplicate: the packet was accepted before, with the same content.
	Duplicate
	// Refused: see Result.Refusal.
	Refused
)

// Result is the outcome of a packet with its details.
type Result struct {
	Outcome Outcome
	Refusal *Refusal // nil unless Refused
}

// Screen makes the decisions that do not need the journal. The caller owns the packet until the
// candidate is added to a batch, which is required if the outcome is Undecided. A duplicate is
// never refused.
func (i *Intake) Screen(c *Candidate) Result { return i.screen(c, i.deps.Duplicates) }

// screen is Screen with a window of duplicates, or nil.
func (i *Intake) screen(c *Candidate, duplicates *dedupe.Window) Result {
	p := c.Packet
	if duplicates != nil {
		state, reservation := duplicates.Begin(c.Principal, p.Info, p.Body, p.Content, p.Accepted)
		switch state {
		case dedupe.Duplicate:
			i.counters.duplicates.Add(1)
			return Result{Outcome: Duplicate}
		case dedupe.InFlight:
			c.other = reservation
			return Result{}
		default:
			c.reservation = reservation
		}
	}
	why := i.shed(p)
	if why == nil && (c.Rate > 0 || i.deps.Limiter.Limits()) {
		why = i.charge(c)
	}
	if why == nil {
		return Result{}
	}
	return i.refuse(c, why)
}

// shed returns the refusal of a packet whose level is shed now, or nil.
func (i *Intake) shed(p *packet.Packet) *Refusal {
	threshold, sheds := i.config.Load().Shed.sheds(p.Level, i.deps.Utilization)
	if !sheds {
		return nil
	}
	i.counters.shed[p.Level].Add(1)
	return &Refusal{Reason: Shed, Detail: threshold.detail()}
}

// charge returns the refusal of a packet whose emitter or principal is over its rate limit, or nil.
func (i *Intake) charge(c *Candidate) *Refusal {
	var buffer [256]byte
	if c.Rate > 0 {
		if wait, ok := i.principals.Take(append(buffer[:0], c.Principal...), nil, c.principalCost(), c.Packet.Accepted); !ok {
			return &Refusal{Reason: RateLimited, Detail: "the token of " + c.Principal + " allows fewer messages per second, of all its emitters together", RetryAfter: seconds(wait)}
		}
	}
	key, emitter := c.rateKey(buffer[:0])
	wait, ok := i.deps.Limiter.Take(key, emitter, c.Packet.Messages, c.Packet.Accepted)
	if ok {
		return nil
	}
	i.refundPrincipal(c)
	return &Refusal{Reason: RateLimited, Detail: RateLimited.Detail(), RetryAfter: seconds(wait)}
}

// principalTime is the rate and the burst of each principal, in nanoseconds: a message costs 1/Rate
// seconds. So one limiter has principals of different rates, and keeps their buckets when the file
// with the rates changes.
const principalTime = int(time.Second)

// principalCost returns the cost of the packet for its principal.
func (c *Candidate) principalCost() int {
	return int(min(float64(c.Packet.Messages)/c.Rate*float64(principalTime), math.MaxInt32*float64(principalTime)))
}

func (i *Intake) refundPrincipal(c *Candidate) {
	if c.Rate > 0 {
		var buffer [256]byte
		i.principals.Refund(append(buffer[:0], c.Principal...), c.principalCost())
	}
}

// rateKey appends the key of the packet's rate limit: emitter and principal. No id contains the
// byte between them, since ids are UTF-8.
func (c *Candidate) rateKey(dst []byte) (key, emitter []byte) {
	if c.Principal != "" {
		dst = append(append(dst, c.Principal...), 0xff)
	}
	before := len(dst)
	key = c.Packet.EmitterID.AppendDecoded(dst, c.Packet.Body)
	return key, key[before:]
}

// accept ends the reservation of a packet that the journal has taken.
func (c *Candidate) accept() {
	if c.reservation != nil {
		c.reservation.End(nil)
	}
}

// refuse completes and counts a refusal, and shares it with the requests that wait for
// the same packet.
func (i *Intake) refuse(c *Candidate, why *Refusal) Result {
	p := c.Packet
	p.Complete() // for OnRefusal
	why.PacketID = string(p.PacketID.AppendDecoded(nil, p.Body))
	i.CountRefusal(string(why.Reason))
	i.noteRefused(p.Info, p.Body, RefusedPacket{string(why.Reason), why.Detail, why.PacketID}, p.Accepted)
	if c.reservation != nil {
		c.reservation.End(why)
	}
	return Result{Outcome: Refused, Refusal: why}
}

// rollback refuses a packet that the journal did not take, and refunds the charges of Screen.
func (i *Intake) rollback(c *Candidate, err error) Result {
	i.refund(c)
	reason := reasonOf(err)
	detail := reason.Detail()
	if reason == TooLarge {
		detail = err.Error() // the detail names the limit
	}
	return i.refuse(c, &Refusal{Reason: reason, Detail: detail})
}

// refund reverts the charges of Screen.
func (i *Intake) refund(c *Candidate) {
	i.refundPrincipal(c)
	if i.deps.Limiter.Limits() {
		var buffer [512]byte
		key, _ := c.rateKey(buffer[:0])
		i.deps.Limiter.Refund(key, c.Packet.Messages)
	}
}

// resolve waits for the request that stores the same packet, and shares its result.
func (i *Intake) resolve(c *Candidate) Result {
	refusal := c.other.Wait()
	if refusal == nil {
		i.counters.duplicates.Add(1)
		return Result{Outcome: Duplicate}
	}
	why := refusal.(*Refusal) // reservations end with these errors only
	i.CountRefusal(string(why.Reason))
	return Result{Outcome: Refused, Refusal: why}
}
