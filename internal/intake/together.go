package intake

import (
	"context"
	"errors"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// Receipt is what became of packets that were to be accepted together.
type Receipt struct {
	// Accepted and Duplicates are numbers of packets.
	Accepted, Duplicates int
	// Refusal, unless nil, is why none of the packets is accepted.
	Refusal *Refusal
	// Undelivered is how many accepted packets are not known to be delivered after AckTimeout,
	// if the level is AckDelivered.
	Undelivered int
}

// AcceptAll screens packets and appends them to the journal, all or none, for protocols that
// cannot say which packets of a request are refused. It owns the packets. Other than Screen it
// always detects duplicates, since clients of such protocols send requests again whose answer
// they have not got. It waits for capacity until ctx ends, like AwaitRoom.
func (i *Intake) AcceptAll(ctx context.Context, candidates []Candidate, ack Ack) Receipt {
	b := i.NewBatch()
	receipt := Receipt{}
	for n := range candidates {
		c := &candidates[n]
		result := i.screen(c, i.deps.InputDuplicates)
		if result.Outcome == Undecided {
			b.Add(c)
			continue
		}
		i.memory.Drop(c.Packet)
		if result.Outcome == Refused {
			for _, rest := range candidates[n+1:] {
				i.memory.Drop(rest.Packet)
			}
			b.abandon(result.Refusal)
			return Receipt{Refusal: result.Refusal}
		}
		receipt.Duplicates++
	}
	return b.acceptAll(ctx, ack, receipt)
}

func (b *Batch) acceptAll(ctx context.Context, ack Ack, receipt Receipt) Receipt {
	i := b.intake
	b.notify(ack)
	if err := i.awaitRoom(ctx, b.held, b.appendAll); err != nil {
		b.reject(0, len(b.candidates), err)
	} else {
		b.accept(0, len(b.candidates))
	}
	i.memory.Free(b.held)
	b.resolveJoined()
	for _, result := range b.results {
		switch result.Outcome {
		case Refused:
			return Receipt{Refusal: result.Refusal}
		case Duplicate:
			receipt.Duplicates++
		default:
			receipt.Accepted++
		}
	}
	if b.AwaitsDelivery() {
		receipt.Undelivered = b.accepted - len(b.AwaitDeliveries(context.WithoutCancel(ctx)))
	}
	return receipt
}

// appendAll is tried until the journal has capacity.
func (b *Batch) appendAll() error {
	switch b.intake.Closed() {
	case Draining:
		return journal.ErrClosed
	case NoAnalyzer:
		return errNoAnalyzer
	case Paused:
		return errPaused
	}
	if len(b.packets) == 0 {
		return nil
	}
	return b.intake.deps.Journal.AppendAll(b.packets)
}

// abandon refuses the packets of a batch, of which another packet is refused.
func (b *Batch) abandon(why *Refusal) {
	for n := range b.candidates {
		c := &b.candidates[n]
		b.intake.refund(c)
		b.intake.refuse(c, &Refusal{Reason: why.Reason, Detail: why.Detail, RetryAfter: why.RetryAfter})
		c.Packet.Release()
	}
	b.intake.memory.Free(b.held)
	for n := range b.joined {
		b.intake.memory.Drop(b.joined[n].Packet)
	}
}

// The reasons of appendAll beside those of the journal.
var (
	errNoAnalyzer = errors.New("no analyzer is healthy")
	errPaused     = errors.New("the intake is paused")
)
