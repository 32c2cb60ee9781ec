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
// ctx ends, and then returns why they are not accepted, which counts as one refusal. There is at least
// one attempt. Persist is for protocols that stop a sender by not reading: the waiting data is the
// encoded records, of that many bytes, in the connection's buffer, and takes no capacity of the intake.
// Packets that the journal cannot accept together are accepted in parts, as capacity returns, if their
// ID is Repeatable; these packets wait for up to intake.CapacityTimeout in each attempt.
func (r *Receiver) Persist(ctx context.Context, from Sender, bytes int, translate Translation) *problem.Problem {
	why, counted := r.persist(ctx, from, bytes, translate)
	return r.finally(why, counted)
}

// finally counts a refusal, which the intake may have counted, or returns nil for none.
func (r *Receiver) finally(why *problem.Problem, counted bool) *problem.Problem {
	switch {
	case why == nil:
		return nil
	case counted:
		return r.counted(*why)
	default:
		return r.Refuse(*why)
	}
}

// persist is Persist without the count, and reports whether the intake has counted the refusal.
func (r *Receiver) persist(ctx context.Context, from Sender, bytes int, translate Translation) (why *problem.Problem, counted bool) {
	for interval := minAttemptInterval; ; interval = min(2*interval, maxAttemptInterval) {
		why, counted = r.attempt(ctx, from, bytes, translate)
		if why == nil || !isTemporary(why.Code) || !worker.Sleep(ctx, max(interval, time.Duration(why.RetryAfter)*time.Second)) {
			return why, counted
		}
	}
}

// partsAfter is the time in which PersistParts submits all records together.
const partsAfter = time.Second

// Records are records that need not be accepted together, and that their sender does not send again.
type Records struct {
	Count, Bytes int
	// Events, unless nil, returns for how many records one counts when it is rejected.
	Events func(n int) int
	// Timeout, unless 0, bounds the time for which a single record waits.
	Timeout time.Duration
	// Translate makes packets of the records from first up to end. Its error is that of a Translation.
	// It is called for each attempt.
	Translate func(packets *record.Packets, first, end int) error
}

// events returns for how many records those from first up to end count.
func (s *Records) events(first, end int) (events int) {
	if s.Events == nil {
		return end - first
	}
	for n := first; n < end; n++ {
		events += s.Events(n)
	}
	return events
}

// PersistParts submits records as Persist does. If they are refused for longer than a second, it
// submits parts: twice as many records after each success, and half as many after each refusal, down to
// single records, each of which waits until ctx ends. So the records at the front are accepted even if
// all records together need more than the total capacity, or if the emitter of a later one is refused.
// A single record that is too large is rejected, and the next ones are accepted. PersistParts rejects
// the records behind the accepted ones, and returns why, or nil.
func (r *Receiver) PersistParts(ctx context.Context, from Sender, records Records) *problem.Problem {
	p := parts{receiver: r, from: from, records: records}
	if records.Count == 0 {
		return nil
	}
	p.submit(ctx)
	if p.accepted == records.Count {
		return nil
	}
	r.Reject(p.why.Code, records.events(p.accepted, records.Count))
	return r.finally(p.why, p.counted)
}

// parts is the state of PersistParts.
type parts struct {
	receiver *Receiver
	from     Sender
	records  Records
	accepted int // or rejected
	// why is the refusal of the latest part, nil if it was accepted, and counted whether the intake has
	// counted it.
	why     *problem.Problem
	counted bool
}

// submit submits all records, and then parts of them until all are accepted or no part may be.
func (p *parts) submit(ctx context.Context) {
	count, noWait := p.records.Count, p.receiver.service.noWait
	if count > 1 && (p.accept(noWait, count) || !p.mayFitInParts(ctx)) {
		return
	}
	together, cancel := context.WithTimeout(ctx, partsAfter)
	defer cancel()
	for size := count; p.accepted < count; {
		within := noWait
		switch size {
		case 1:
			within = ctx
		case count:
			within = together
		}
		switch {
		case p.accept(within, size) || size == 1 && p.rejectTooLarge():
			size = min(2*size, count-p.accepted)
		case size > 1 && p.mayFitInParts(ctx):
			size /= 2
		default:
			return
		}
	}
}

// accept submits the next records, and reports whether they are accepted. Their id is that of all
// attempts, so that one which was accepted is recognised.
func (p *parts) accept(ctx context.Context, size int) bool {
	if size == 1 && p.records.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.records.Timeout)
		defer cancel()
	}
	id := ID{Text: p.receiver.SequenceID().Text, Repeatable: size == 1}
	first, end := p.accepted, p.accepted+size
	p.why, p.counted = p.receiver.persist(ctx, p.from, p.records.Bytes*size/p.records.Count, func(packets *record.Packets) (ID, error) {
		return id, p.records.Translate(packets, first, end)
	})
	if p.why != nil && p.why.Code != problem.AckTimeout { // then they are accepted
		return false
	}
	p.accepted = end
	return true
}

// rejectTooLarge rejects the next record if it is too large.
func (p *parts) rejectTooLarge() bool {
	if p.why.Code != problem.TooLarge {
		return false
	}
	p.receiver.Reject(p.why.Code, p.records.events(p.accepted, p.accepted+1))
	p.accepted++
	return true
}

// mayFitInParts reports whether a part of the refused records may be accepted.
func (p *parts) mayFitInParts(ctx context.Context) bool {
	return ctx.Err() == nil && (isTemporary(p.why.Code) || p.why.Code == problem.TooLarge)
}

// attempt reports whether the intake has counted a refusal.
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
