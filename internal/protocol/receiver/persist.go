package receiver

import (
	"context"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// The interval between two attempts of Persist doubles.
const (
	minAttemptInterval = 10 * time.Millisecond
	maxAttemptInterval = 320 * time.Millisecond
)

// Translation makes packets of records that their source keeps, and returns the id for Accept.
// Its error is that of Group.Add or a *problem.Problem; then the packets are dropped. It is
// called for each attempt.
type Translation func(packets *record.Packets) (id string, err error)

// Persist tries to have the packets of a translation accepted until they are, are refused for
// good, or ctx ends, and then returns why they are not accepted. There is one attempt at least.
// It is for protocols that stop a sender by reading no further: what waits is the encoded
// records, of that many bytes, in the connection's buffer, and takes no room in the intake.
func (r *Receiver) Persist(ctx context.Context, from Sender, bytes int, translate Translation) *problem.Problem {
	interval := minAttemptInterval
	for {
		fault, counted := r.attempt(from, bytes, translate)
		switch {
		case fault == nil:
			return nil
		case isTemporary(fault.Code) && wait(ctx, max(interval, time.Duration(fault.RetryAfter)*time.Second)):
			interval = min(2*interval, maxAttemptInterval)
		case counted:
			return fault
		default:
			return r.Refuse(*fault)
		}
	}
}

// attempt reports whether a refusal is counted.
func (r *Receiver) attempt(from Sender, bytes int, translate Translation) (fault *problem.Problem, counted bool) {
	if reason := r.service.deps.Intake.Admit(bytes); reason != "" {
		return body.Unavailable(reason), false
	}
	packets := r.NewPackets(r.service.noWait)
	id, err := translate(packets)
	switch {
	case err != nil:
		packets.Drop()
		return untranslated(err), false
	case packets.Len() == 0:
		return nil, false
	}
	return r.Accept(r.service.noWait, from, packets, id), true
}

// isTemporary reports whether packets that are refused may be accepted later.
func isTemporary(code problem.Code) bool {
	switch code {
	case problem.Overloaded, problem.NoAnalyzer, problem.Paused, problem.Shed, problem.RateLimited,
		problem.JournalUnwritable, problem.Draining:
		return true
	}
	return false
}

// wait reports false if ctx ends before.
func wait(ctx context.Context, interval time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Lend returns an empty packet with a buffer of at least that many bytes, which Release takes
// back, once there is memory. It returns nil if ctx ends before.
func (r *Receiver) Lend(ctx context.Context, size int) *packet.Packet {
	interval := minAttemptInterval
	for {
		p, reason := r.service.deps.Intake.Memory().Lend(size)
		if reason == "" {
			return p
		}
		if !wait(ctx, interval) {
			return nil
		}
		interval = min(2*interval, maxAttemptInterval)
	}
}

// Decode undoes a coding, such as gzip, of bytes that have arrived. The caller owns the packet,
// of which only Body is set, and gives it back with Release. The problem is not counted.
func (r *Receiver) Decode(coding string, encoded []byte) (*packet.Packet, *problem.Problem) {
	return r.service.bodies.Decode(coding, encoded)
}

// MaxPacketBytes returns the current maximum size of a packet, which no record may exceed.
func (r *Receiver) MaxPacketBytes() int { return r.service.deps.Limits().Bytes }

// MaxBodyBytes returns the current maximum size of a request, decoded.
func (r *Receiver) MaxBodyBytes() int { return r.service.bodies.MaxBytes() }
