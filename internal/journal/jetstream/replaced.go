package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/ring"
)

// An operator may delete a stream or its consumer while distributors run, or the servers may lose
// their data. The journal creates both again then.

// missingAfter is the time for which NATS must report that a stream does not exist before the
// stream is created again: a server that has just started may not have loaded all streams.
const missingAfter = 5 * time.Second

// noteMissing records that a stream does not exist, and reports whether that is no problem.
func (j *Journal) noteMissing(p *partition) (well bool) {
	if !p.publishes { // a stream that is no longer used was deleted
		return true
	}
	now := time.Now()
	if p.missing.IsZero() {
		p.missing = now
	}
	j.mu.Lock()
	p.known = false
	if gone := now.Sub(p.missing) > missingAfter; gone && p.ready {
		p.ready = false
		j.logger.Error("a stream is gone, with what it had: it is created again", "stream", p.stream, "envelopes", p.state.messages)
	}
	done := j.updateWritableLocked()
	j.mu.Unlock()
	j.complete(done)
	return false
}

// markFailing records that the consumer of a stream refuses pulls: the consumer or the stream may be
// gone.
func (j *Journal) markFailing(p *partition) {
	j.mu.Lock()
	wake := p.known
	p.known, p.refused = false, true
	j.mu.Unlock()
	if wake {
		j.watching.Wake()
	}
}

// recreateConsumer creates the consumer again if it is gone, and reports whether there is one.
func (j *Journal) recreateConsumer(ctx context.Context, stream jetstream.Stream, p *partition) bool {
	j.mu.Lock()
	refused := p.refused
	j.mu.Unlock()
	if !refused {
		return true
	}
	limits, err := j.prepareConsumer(ctx, stream, p)
	if err != nil {
		p.reportConsumer(j.logger, err)
		return false
	}
	p.consumerErr = ""
	j.mu.Lock()
	defer j.mu.Unlock()
	p.refused, p.consumerLimits = false, limits
	return true
}

// reportConsumer logs why no envelope is received from a stream, unless the reason is the same as
// before, or the stream has no leader now.
func (p *partition) reportConsumer(logger *slog.Logger, err error) {
	var api *jetstream.APIError
	var refused *streamError
	if text := err.Error(); (errors.As(err, &api) || errors.As(err, &refused)) && text != p.consumerErr {
		p.consumerErr = text
		logger.Error("nothing is received of a stream", "stream", p.stream, "error", err)
	}
}

// identifyLocked records the identity of a stream. A stream that was created again has no envelope
// that was received from the old one: acknowledgements would be for other envelopes. This process
// delivers the envelopes of the old stream that it holds.
func (j *Journal) identifyLocked(p *partition, created time.Time) {
	replaced := !p.created.IsZero() && !p.created.Equal(created)
	p.created, p.known = created, true
	if !replaced {
		return
	}
	orphans := 0
	for _, c := range j.claims {
		if c.partition == p {
			c.reply, c.copies, c.orphaned = "", nil, true
			orphans++
		}
	}
	j.acks = deleteOf(j.acks, p)
	var others ring.Queue[sentAck]
	for i := range j.sentAcks.Len() {
		if sent := j.sentAcks.At(i); sent.of != p {
			others.Push(sent)
		}
	}
	j.sentAcks = others
	j.logger.Warn("a stream is another one than before; what was received from that is delivered from memory", "stream", p.stream, "envelopes", orphans)
}

// deleteOf removes the messages for the consumer of a stream.
func deleteOf(acks []ack, p *partition) []ack {
	kept := acks[:0]
	for _, a := range acks {
		if a.of != p {
			kept = append(kept, a)
		}
	}
	clear(acks[len(kept):])
	return kept
}
