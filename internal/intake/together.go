package intake

import (
	"context"
	"errors"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// Receipt is the result of packets that were to be accepted together.
type Receipt struct {
	// Accepted and Duplicates are numbers of packets.
	Accepted, Duplicates int
	// Refusal, unless nil, is the refusal of the request. None of its packets is accepted then,
	// unless it is accepted in parts; see AcceptAll.
	Refusal *Refusal
	// Undelivered is the number of accepted packets without a known delivery after AckTimeout, if
	// the level is AckDelivered.
	Undelivered int
}

// AcceptAll screens packets and appends them to the journal, all or none, for protocols whose
// responses cannot name the refused packets. It owns the packets. Other than Screen it
// always detects duplicates, since clients of such protocols send requests again whose response
// they have not got. It waits for capacity until ctx ends, like AwaitCapacity.
//
// Packets that the journal never takes together are refused as TooLarge if parts is nil. Otherwise
// the request must be repeatable: its packets have the same ids when it comes again. Then they are
// accepted in parts, and if there is no capacity for the rest until parts ends, the request is
// refused; when it comes again, the packets that were accepted are duplicates.
func (i *Intake) AcceptAll(ctx, parts context.Context, candidates []Candidate, ack Ack) Receipt {
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
	return b.acceptAll(ctx, parts, ack, receipt)
}

func (b *Batch) acceptAll(ctx, parts context.Context, ack Ack, receipt Receipt) Receipt {
	i := b.intake
	b.notify(ack)
	taken := len(b.packets)
	err := i.awaitCapacity(ctx, b.held, b.appendAll)
	if parts != nil && errors.Is(err, journal.ErrTooMany) {
		taken, err = b.appendParts(parts)
	} else if err != nil {
		taken = 0
	}
	b.accept(0, taken)
	if err != nil {
		b.reject(taken, len(b.candidates), err)
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

// appendAll retries until the journal has capacity.
func (b *Batch) appendAll() error {
	if err := b.intake.closedError(); err != nil || len(b.packets) == 0 {
		return err
	}
	return b.intake.deps.Journal.AppendAll(b.packets)
}

// appendParts appends as many packets at a time as the journal has capacity for, and returns how
// many the journal has taken, and the error if it has not taken all.
func (b *Batch) appendParts(ctx context.Context) (taken int, err error) {
	footprints := make([]int64, len(b.packets)) // the journal owns the packets that it has taken
	for n, p := range b.packets {
		footprints[n] = p.Footprint()
	}
	for taken < len(b.packets) && err == nil {
		err = b.intake.awaitCapacity(ctx, b.held, func() error {
			if err := b.intake.closedError(); err != nil {
				return err
			}
			n, err := b.intake.deps.Journal.Append(b.packets[taken:])
			for ; n > 0; n-- {
				b.intake.memory.Free(footprints[taken])
				b.held -= footprints[taken]
				taken, err = taken+1, nil // the remaining packets are tried next
			}
			return err
		})
	}
	return taken, err
}

// closedError returns Closed as an error.
func (i *Intake) closedError() error {
	switch i.Closed() {
	case Draining:
		return journal.ErrClosed
	case NoAnalyzer:
		return errNoAnalyzer
	case Paused:
		return errPaused
	}
	return nil
}

// abandon refuses the packets of a batch after the refusal of another packet of it.
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

// The errors of appendAll in addition to those of the journal.
var (
	errNoAnalyzer = errors.New("no analyzer is healthy")
	errPaused     = errors.New("the intake is paused")
)
