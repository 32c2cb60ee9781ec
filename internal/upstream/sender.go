package upstream

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
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
		s.deliver(ctx, batch, visit{})
		queue.finished(volume)
		s.upstream.settler.CapacityChanged()
		clear(batch) // the packets belong to others now
		s.batch = batch
	}
}

// deliver settles all packets of a batch; v is what has become of them here.
func (s *sender) deliver(ctx context.Context, batch []*packet.Packet, v visit) {
	for {
		sound := s.upstream.breaker.Closed()
		answer := s.send(ctx, batch, v)
		again := s.mayTryAgain(batch, answer, v)
		if (answer.outcome == stale || answer.outcome == failed) && !answer.unsent {
			v = v.failed(batch, answer, sound)
		}
		switch {
		case answer.outcome == stale:
			continue // once: the next connection is no kept one
		case answer.outcome == taken:
			s.settleTaken(batch, answer)
			return
		case answer.outcome == refused && len(batch) == 1:
			s.refuse(Rejection{batch[0], answer.reason, answer.detail})
			return
		case answer.outcome == refused, answer.outcome == oneByOne:
			s.adaptTo(answer, len(batch))
			s.deliverHalves(ctx, batch, v)
			return
		case answer.outcome == noResources:
			time.Sleep(shortagePause) // or they would come back at once
			s.giveBack(batch, answer, v)
			return
		case !again:
			s.giveBack(batch, answer, v)
			return
		}
		time.Sleep(backoff(v.failures - 1))
		if len(batch) > 1 {
			s.deliverHalves(ctx, batch, v)
			return
		}
	}
}

// deliverHalves follows a batch that was refused, or failed, as a whole: nobody
// knows which packet is meant, and halves find it in few requests. It follows one that
// may not be sent as such, too: by the time of the second half it may.
func (s *sender) deliverHalves(ctx context.Context, batch []*packet.Packet, v visit) {
	half := len(batch) / 2
	s.deliver(ctx, batch[:half], v)
	s.deliver(ctx, batch[half:], v)
}

// mayTryAgain tells whether to try again here. A packet that failed alone
// elsewhere need not fail here more than once.
func (s *sender) mayTryAgain(batch []*packet.Packet, a answer, v visit) bool {
	u := s.upstream
	return a.outcome == failed && !a.unsent && v.failures < u.config.Retries &&
		(len(batch) > 1 || batch[0].Failures == nil) &&
		u.budget.TakeAll(len(batch), time.Now())
}

// send makes one request and tells the analyzer's health of its result.
func (s *sender) send(ctx context.Context, batch []*packet.Packet, v visit) answer {
	u := s.upstream
	start := time.Now()
	s.connection.begin()
	if ctx.Err() != nil || !u.accepting(start) {
		return answer{outcome: heldBack, unsent: true}
	}
	s.request.post(batch)
	response, err := s.connection.exchange(ctx, s.request, start.Add(u.config.Timeout))
	end := time.Now()
	answer := understand(response, err, len(batch), end)
	if answer.outcome == stale || answer.outcome == oneByOne {
		return answer // says nothing of anybody
	}
	u.metrics.sent(answer, end.Sub(start))
	switch {
	case answer.outcome == heldBack, answer.outcome == noResources:
		return answer // it is not the analyzer that hung up, or cannot be reached
	case answer.outcome == notNow:
		u.pause(end.Add(answer.pause))
		return answer
	case answer.reason == reasonTimeout && v.failures == 0:
		u.batch.shrink(len(batch))
	case answer.outcome == taken:
		if len(answer.lines) < len(batch) {
			u.latestTaken.Store(u.counted(end))
		}
		u.batch.adapt(len(batch), end.Sub(start), u.config.Timeout)
		// What was read back from disk knows the wall clock alone, which may have been set.
		u.metrics.latency.observe(max(0, end.Sub(batch[0].Accepted)).Seconds())
	}
	u.judge(answer, batch, v, end)
	return answer
}

// settleTaken delivers a batch but for the lines that the answer excepts.
func (s *sender) settleTaken(batch []*packet.Packet, a answer) {
	u := s.upstream
	var again []*packet.Packet
	var refusals []Rejection
	for _, l := range a.lines {
		p := batch[l.number-1]
		batch[l.number-1] = nil
		if l.reason == "" {
			again = append(again, p)
		} else {
			refusals = append(refusals, Rejection{p, l.reason, l.detail})
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
	if len(refusals) > 0 {
		s.refuse(refusals...)
	}
	if len(again) > 0 {
		u.pause(time.Now().Add(a.pause))
		s.giveBack(again, a, visit{})
	}
}

// giveBack returns packets to be delivered elsewhere, unless that is hopeless.
func (s *sender) giveBack(packets []*packet.Packet, a answer, v visit) {
	u := s.upstream
	if v.tried() {
		u.remember(packets, v, time.Now())
	}
	if p := packets[0]; hopeless(p) {
		s.refuse(Rejection{p, refusedFailing, p.Failures.Cause})
		return
	}
	for _, p := range packets {
		p.Attempted = v.tried() || !a.unsent
	}
	u.release(packets)
}

// adaptTo learns from a batch that was refused.
func (s *sender) adaptTo(a answer, packets int) {
	switch a.reason {
	case refusedMediaType:
		s.upstream.incarnation.learn(0, false)
	case refusedTooLarge:
		s.upstream.batch.shrink(packets)
	}
}

func (s *sender) refuse(rejections ...Rejection) {
	s.upstream.limit.handled.Add(int64(len(rejections)))
	s.upstream.settler.Rejected(s.upstream.position, rejections)
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
