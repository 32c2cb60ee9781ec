package receiver

import (
	"context"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// The interval between two attempts of Persist doubles.
const (
	minAttemptInterval = 10 * time.Millisecond
	maxAttemptInterval = 320 * time.Millisecond
)

// Translation makes packets of records that their source keeps, and returns the id for
// AcceptContent. Its error is an error of Group.Add or a *problem.Problem; then the packets are
// dropped. It is called for each attempt.
type Translation func(packets *record.Packets) (id ID, err error)

// Persist submits the packets of a translation until they are accepted, are refused for good, or
// ctx ends, and then returns why they are not accepted. There is at least one attempt. Persist is
// for protocols that stop a sender by not reading: the waiting data is the encoded records, of that
// many bytes, in the connection's buffer, and takes no capacity of the intake. Packets that the
// journal cannot accept together are accepted in parts, as capacity returns, if their ID is
// Repeatable; these packets wait for up to intake.CapacityTimeout in each attempt.
func (r *Receiver) Persist(ctx context.Context, from Sender, bytes int, translate Translation) *problem.Problem {
	interval := minAttemptInterval
	for {
		fault, counted := r.attempt(ctx, from, bytes, translate)
		switch {
		case fault == nil:
			return nil
		case isTemporary(fault.Code) && worker.Sleep(ctx, max(interval, time.Duration(fault.RetryAfter)*time.Second)):
			interval = min(2*interval, maxAttemptInterval)
		case counted:
			return fault
		default:
			return r.Refuse(*fault)
		}
	}
}

// partsAfter is the time in which PersistParts submits all records together.
const partsAfter = time.Second

// Part submits the records from first up to end, as Persist does until ctx ends, and returns why they
// are not accepted.
type Part func(ctx context.Context, first, end int) *problem.Problem

// PersistParts submits records that need not be accepted together. If they are refused for longer
// than a second, it submits parts: twice as many records after each success, and half as many after
// each refusal, down to single records, each of which waits until ctx ends. So the records at the
// front are accepted even if all records together need more than the total capacity, or if the
// emitter of a later one is refused. A single record that is too large is rejected, and the next
// ones are accepted. PersistParts returns the number of records at the front that are accepted or
// rejected, and why the others are not.
func (r *Receiver) PersistParts(ctx context.Context, records int, accept Part) (accepted int, why *problem.Problem) {
	if records > 1 {
		if why = accept(r.service.noWait, 0, records); isAccepted(why) {
			return records, nil
		}
		if !mayFitInParts(why.Code) || ctx.Err() != nil {
			return 0, why
		}
	}
	return r.persistParts(ctx, records, accept)
}

// isAccepted reports whether packets are accepted for a sender that does not wait for their delivery.
func isAccepted(why *problem.Problem) bool { return why == nil || why.Code == problem.AckTimeout }

// mayFitInParts reports whether a part of the refused records may be accepted.
func mayFitInParts(code problem.Code) bool { return isTemporary(code) || code == problem.TooLarge }

// persistParts implements PersistParts for a single record, or after a refusal.
func (r *Receiver) persistParts(ctx context.Context, records int, accept Part) (accepted int, why *problem.Problem) {
	together, cancel := context.WithTimeout(ctx, partsAfter)
	defer cancel()
	for size := records; accepted < records; {
		within := r.service.noWait
		switch size {
		case 1:
			within = ctx
		case records:
			within = together
		}
		why = accept(within, accepted, accepted+size)
		tooLarge := size == 1 && why != nil && why.Code == problem.TooLarge
		if tooLarge {
			r.Reject(why.Code, 1)
		}
		switch {
		case tooLarge, isAccepted(why):
			accepted += size
			size = min(2*size, records-accepted)
		case size > 1 && mayFitInParts(why.Code) && ctx.Err() == nil:
			size /= 2
		default:
			return accepted, why
		}
	}
	return accepted, nil
}

// attempt reports whether a refusal is counted.
func (r *Receiver) attempt(ctx context.Context, from Sender, bytes int, translate Translation) (fault *problem.Problem, counted bool) {
	if reason := r.service.deps.Intake.Admit(bytes); reason != "" {
		return body.Unavailable(reason), false
	}
	packets := r.NewPackets(r.service.noWait, nil)
	id, err := translate(packets)
	switch {
	case err != nil:
		packets.Drop()
		return untranslated(err), false
	case packets.Len() == 0:
		r.countRecords(packets, 0)
		return nil, false
	}
	parts, cancel := context.WithTimeout(ctx, intake.CapacityTimeout)
	defer cancel()
	return r.accept(r.service.noWait, parts, from, packets, id, ""), true
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

// Lend returns an empty packet with a buffer of at least that many bytes as soon as there is
// memory; Release takes it back. It returns nil if ctx ends before.
func (r *Receiver) Lend(ctx context.Context, size int) *packet.Packet {
	interval := minAttemptInterval
	for {
		p, reason := r.service.deps.Intake.Memory().Lend(size)
		if reason == "" {
			return p
		}
		if !worker.Sleep(ctx, interval) {
			return nil
		}
		interval = min(2*interval, maxAttemptInterval)
	}
}

// Fits reports whether that many bytes, as Footprint counts them, can ever be lent at once.
func (r *Receiver) Fits(bytes int64) bool { return r.service.deps.Intake.Memory().Fits(bytes) }

// Decode decodes bytes that have arrived in a coding, such as gzip. The caller owns the packet, of
// which only Body is set, and releases it with Release. The problem is not counted.
func (r *Receiver) Decode(coding string, encoded []byte) (*packet.Packet, *problem.Problem) {
	return r.service.bodies.Decode(coding, encoded)
}

// MaxPacketBytes returns the current maximum size of a packet, which no record may exceed.
func (r *Receiver) MaxPacketBytes() int { return r.service.deps.Limits().Bytes }

// MaxBodyBytes returns the current maximum size of a request, decoded.
func (r *Receiver) MaxBodyBytes() int { return r.service.bodies.MaxBytes() }
