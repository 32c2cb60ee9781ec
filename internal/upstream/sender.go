package upstream

import (
	"context"
	"math/rand/v2"
	"time"

	"logstreamer/internal/packet"
)

// The pause before a further try here doubles from shortest to longest, with
// full jitter.
const (
	shortestBackoff = 10 * time.Millisecond
	longestBackoff  = 250 * time.Millisecond
)

// sender delivers packets, one request at a time.
type sender struct {
	upstream   *Upstream
	connection *connection
	request    *request
	seat       *seat
	batch      []*packet.Packet
}

func newSender(u *Upstream, c *connection, r *request) *sender {
	return &sender{upstream: u, connection: c, request: r, seat: u.queue.seat()}
}

func (s *sender) run(ctx context.Context) {
	defer s.connection.close()
	queue := s.upstream.queue
	for {
		batch, ok := queue.take(s.seat, s.batch[:0], s.upstream.limits)
		if !ok {
			return
		}
		volume := packet.VolumeOf(batch)
		s.deliver(ctx, batch)
		queue.finished(volume)
		s.upstream.settler.Changed()
		clear(batch) // the packets belong to others now
		s.batch = batch
	}
}

// deliver settles all packets of a batch.
func (s *sender) deliver(ctx context.Context, batch []*packet.Packet) {
	u := s.upstream
	for attempt := 0; ; attempt++ {
		answer := s.send(ctx, batch)
		switch answer.outcome {
		case taken:
			s.settleTaken(batch, answer)
			return
		case refused:
			s.settleRefused(ctx, batch, answer)
			return
		}
		if answer.outcome != failed || answer.unsent || attempt >= u.config.Retries || !u.budget.SpendAll(len(batch), time.Now()) {
			s.giveBack(batch, answer)
			return
		}
		time.Sleep(backoff(attempt))
	}
}

// send makes one request and tells the analyzer's health of its result.
func (s *sender) send(ctx context.Context, batch []*packet.Packet) answer {
	u := s.upstream
	start := time.Now()
	s.connection.begin()
	if ctx.Err() != nil || !u.accepting(start) {
		return answer{outcome: heldBack, unsent: true}
	}
	s.request.post(batch)
	response, err := s.connection.exchange(ctx, s.request, start.Add(u.config.Timeout))
	end := time.Now()
	answer := understand(response, err, end)
	u.metrics.sent(answer, end.Sub(start))
	switch {
	case answer.outcome == heldBack:
		return answer // we hung up, not the analyzer
	case answer.outcome == notNow:
		u.pause(end.Add(answer.pause))
		return answer
	case answer.reason == reasonTimeout:
		u.batch.shrink(len(batch))
	case answer.outcome == taken:
		u.batch.adapt(len(batch), end.Sub(start), u.config.Timeout)
		u.metrics.latency.observe(end.Sub(batch[0].Accepted).Seconds())
	}
	u.judge(answer, end)
	return answer
}

// settleTaken delivers a batch but for the lines that the answer excepts.
func (s *sender) settleTaken(batch []*packet.Packet, a answer) {
	u := s.upstream
	if len(batch) == 1 {
		a.lines = nil // a single packet has no lines: 2xx means taken
	}
	var again []*packet.Packet
	for _, l := range a.lines {
		if l.Number < 1 || l.Number > len(batch) || batch[l.Number-1] == nil {
			continue
		}
		p := batch[l.Number-1]
		batch[l.Number-1] = nil
		if reason, ok := l.forGood(); ok {
			s.refuse(p, reason, l.Detail)
		} else {
			again = append(again, p)
		}
	}
	delivered := batch
	if len(a.lines) > 0 {
		delivered = withoutNil(batch)
	}
	if len(delivered) > 0 {
		u.limit.handled.Add(int64(len(delivered)))
		u.metrics.delivered(packet.VolumeOf(delivered))
		u.settler.Delivered(u.position, delivered)
	}
	if len(again) > 0 {
		u.pause(time.Now().Add(a.pause))
		s.giveBack(again, a)
	}
}

// giveBack returns packets to be delivered elsewhere.
func (s *sender) giveBack(packets []*packet.Packet, a answer) {
	for _, p := range packets {
		p.Tried = !a.unsent
	}
	s.upstream.release(packets)
}

// settleRefused ends a refused packet. Of a refused batch nobody knows which
// packet is meant, so each is sent alone.
func (s *sender) settleRefused(ctx context.Context, batch []*packet.Packet, a answer) {
	u := s.upstream
	if len(batch) == 1 {
		s.refuse(batch[0], a.reason, a.detail)
		return
	}
	switch a.reason {
	case refusedMediaType:
		u.takesLines.Store(false)
	case refusedTooLarge:
		u.batch.shrink(len(batch))
	}
	for i := range batch {
		s.deliver(ctx, batch[i:i+1])
	}
}

func (s *sender) refuse(p *packet.Packet, reason, detail string) {
	s.upstream.limit.handled.Add(1)
	s.upstream.settler.Refused(s.upstream.position, p, reason, detail)
}

func withoutNil(batch []*packet.Packet) []*packet.Packet {
	kept := batch[:0]
	for _, p := range batch {
		if p != nil {
			kept = append(kept, p)
		}
	}
	return kept
}

func backoff(attempt int) time.Duration {
	ceiling := min(longestBackoff, shortestBackoff<<min(attempt, 10))
	return rand.N(ceiling) + 1
}
