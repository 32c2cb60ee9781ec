package upstream

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// The backoff before a retry doubles from minBackoff to maxBackoff, with full jitter.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = 250 * time.Millisecond
)

// sender delivers packets, one request at a time.
type sender struct {
	upstream   *Upstream
	connection *connection
	request    *request
	waiter     *waiter
	batch      []Delivery
	packets    []*packet.Packet // of a request
}

func newSender(u *Upstream, c *connection, r *request) *sender {
	return &sender{upstream: u, connection: c, request: r, waiter: u.queue.newWaiter()}
}

func (s *sender) run(ctx context.Context) {
	defer s.connection.close()
	queue := s.upstream.queue
	for {
		batch, ok := queue.take(s.waiter, s.batch[:0], s.upstream.limits)
		if !ok {
			return
		}
		volume := VolumeOf(batch)
		s.deliver(ctx, batch, attempt{})
		queue.finished(volume)
		s.upstream.settler.CapacityChanged()
		clear(batch) // the packets have other owners now
		s.batch = batch
	}
}

// deliver settles all packets of a batch; v is the state of their attempt at this analyzer.
func (s *sender) deliver(ctx context.Context, batch []Delivery, v attempt) {
	for {
		breakerClosed := s.upstream.breaker.Closed()
		result := s.send(ctx, batch, v)
		retry := s.mayRetry(batch, result, v)
		if (result.outcome == stale || result.outcome == failed) && !result.unsent {
			v = v.withFailure(batch, result, breakerClosed)
		}
		switch {
		case result.outcome == stale:
			continue // at most once: the next connection is new
		case result.outcome == delivered:
			s.settleDelivered(batch, result)
			return
		case result.outcome == rejected && len(batch) == 1:
			s.reject(Rejection{batch[0], result.reason, result.detail})
			return
		case result.outcome == rejected, result.outcome == batchUnsupported:
			s.adaptToRejection(result, len(batch))
			s.deliverHalves(ctx, batch, v)
			return
		case result.outcome == noResources:
			time.Sleep(exhaustionPause) // limits the rate of reroutes
			s.nackOrReject(batch, result, v)
			return
		case !retry:
			s.nackOrReject(batch, result, v)
			return
		}
		time.Sleep(backoff(v.failures - 1))
		if len(batch) > 1 {
			s.deliverHalves(ctx, batch, v)
			return
		}
	}
}

// deliverHalves bisects a batch that was rejected or failed as a whole, to find the packet
// that caused it in few requests. It also splits a batch that may not be sent as such; the
// second half may.
func (s *sender) deliverHalves(ctx context.Context, batch []Delivery, v attempt) {
	half := len(batch) / 2
	s.deliver(ctx, batch[:half], v)
	s.deliver(ctx, batch[half:], v)
}

// mayRetry reports whether to retry at this analyzer. A packet that failed at another one
// gets no retries.
func (s *sender) mayRetry(batch []Delivery, a sendResult, v attempt) bool {
	u := s.upstream
	return a.outcome == failed && !a.unsent && v.failures < u.config.Retries &&
		(len(batch) > 1 || batch[0].Failures == nil) &&
		u.budget.TakeAll(len(batch), time.Now())
}

// send makes one request and reports its result to metrics, limits and breaker.
func (s *sender) send(ctx context.Context, batch []Delivery, v attempt) sendResult {
	u := s.upstream
	start := time.Now()
	s.connection.begin()
	if ctx.Err() != nil || !u.accepting(start) {
		return sendResult{outcome: canceled, unsent: true}
	}
	s.packets = AppendPackets(s.packets[:0], batch)
	s.request.preparePost(s.packets)
	resp, err := s.connection.exchange(ctx, s.request, start.Add(u.config.Timeout))
	clear(s.packets)
	end := time.Now()
	result := classify(resp, err, len(batch), end)
	if result.outcome == stale || result.outcome == batchUnsupported {
		return result // says nothing about analyzer or packets
	}
	u.metrics.sent(result, end.Sub(start))
	switch {
	case result.outcome == canceled, result.outcome == noResources:
		return result // not caused by the analyzer
	case result.outcome == throttled:
		u.pause(end.Add(result.pause))
		return result
	case result.reason == reasonTimeout && v.failures == 0:
		u.batch.shrink(len(batch))
	case result.outcome == delivered:
		if len(result.lines) < len(batch) {
			u.lastDelivered.Store(u.elapsed(end))
		}
		u.batch.adapt(len(batch), end.Sub(start), u.config.Timeout)
		// Packets read back from disk have wall-clock times only, which may be in the future.
		u.metrics.latency.observe(max(0, end.Sub(batch[0].Packet.Accepted)).Seconds())
	}
	u.reportResult(result, batch, v, end)
	return result
}

// settleDelivered settles a delivered batch and the lines that were not accepted.
func (s *sender) settleDelivered(batch []Delivery, a sendResult) {
	u := s.upstream
	var throttled []Delivery
	var rejections []Rejection
	for _, l := range a.lines {
		d := batch[l.number-1]
		batch[l.number-1].Packet = nil
		if l.reason == "" {
			throttled = append(throttled, d)
		} else {
			rejections = append(rejections, Rejection{d, l.reason, l.detail})
		}
	}
	acked := batch
	if len(a.lines) > 0 {
		acked = withoutSettled(batch)
	}
	if len(acked) > 0 {
		u.limit.settled.Add(int64(len(acked)))
		u.metrics.delivered(VolumeOf(acked))
		u.settler.Delivered(u.config.ID, acked)
	}
	if len(rejections) > 0 {
		s.reject(rejections...)
	}
	if len(throttled) > 0 {
		u.pause(time.Now().Add(a.pause))
		s.nackOrReject(throttled, a, attempt{})
	}
}

// nackOrReject returns packets to be rerouted, unless a packet keeps failing.
func (s *sender) nackOrReject(deliveries []Delivery, a sendResult, v attempt) {
	u := s.upstream
	if v.mayHaveFailed() {
		u.recordFailure(deliveries, v, time.Now())
	}
	if d := deliveries[0]; keepsFailing(d) {
		s.reject(Rejection{d, rejectedFailing, d.Failures.Cause})
		return
	}
	for i := range deliveries {
		deliveries[i].Attempted = v.mayHaveFailed() || !a.unsent
	}
	u.nack(deliveries)
}

// adaptToRejection adapts capabilities and batch size to the reason of a rejected batch.
func (s *sender) adaptToRejection(a sendResult, packets int) {
	switch a.reason {
	case rejectedMediaType:
		s.upstream.epoch.learn(0, false)
	case rejectedTooLarge:
		s.upstream.batch.shrink(packets)
	}
}

func (s *sender) reject(rejections ...Rejection) {
	s.upstream.limit.settled.Add(int64(len(rejections)))
	s.upstream.settler.Rejected(s.upstream.config.ID, rejections)
}

// withoutSettled removes the deliveries without a packet.
func withoutSettled(batch []Delivery) []Delivery {
	return slices.DeleteFunc(batch, func(d Delivery) bool { return d.Packet == nil })
}

func backoff(attempt int) time.Duration {
	ceiling := min(maxBackoff, minBackoff<<min(attempt, 10))
	return rand.N(ceiling) + 1
}
