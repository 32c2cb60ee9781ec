package upstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// The backoff before a retry doubles from minBackoff to maxBackoff, with full jitter.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = 250 * time.Millisecond
)

// sender delivers packets, one request at a time.
type sender struct {
	upstream *Upstream
	conn     sink.Conn
	waiter   *waiter
	batch    []Delivery
	packets  []*packet.Packet // of a request
}

func newSender(u *Upstream) *sender {
	return &sender{upstream: u, conn: u.sink.NewConn(), waiter: u.queue.newWaiter()}
}

func (s *sender) run() {
	defer s.conn.Close()
	queue := s.upstream.queue
	for {
		batch, ok := queue.take(s.waiter, s.batch[:0], s.upstream.limits)
		if !ok {
			return
		}
		volume := VolumeOf(batch)
		s.deliver(batch, attempt{})
		queue.finished(volume)
		s.upstream.settler.CapacityChanged()
		clear(batch) // the packets have other owners now
		s.batch = batch
	}
}

// deliver settles all packets of a batch; v is the state of their attempt at this analyzer.
func (s *sender) deliver(batch []Delivery, v attempt) {
	for {
		breakerClosed := s.upstream.breaker.Closed()
		result := s.send(batch, v)
		next := s.next(batch, result, v)
		v = v.after(result, len(batch), breakerClosed)
		time.Sleep(waitBefore(next, result, v))
		switch next {
		case settle:
			s.settle(batch, result)
			return
		case split:
			s.deliver(batch[:len(batch)/2], v)
			s.deliver(batch[len(batch)/2:], v)
			return
		case reroute:
			s.nackOrReject(batch, result, v)
			return
		}
	}
}

// next returns the action after a request, within the retry budget. A packet that failed at
// another analyzer gets no retries here.
func (s *sender) next(batch []Delivery, r sink.Result, v attempt) action {
	u := s.upstream
	retries := u.config.Load().Retries
	if len(batch) == 1 && batch[0].Failures != nil {
		retries = 0
	}
	next := decide(r, len(batch), v.failures, retries)
	if r.Outcome == sink.Failed && next != reroute && !u.budget.TakeAll(len(batch), time.Now()) {
		return reroute
	}
	return next
}

// waitBefore returns the time to wait before the action.
func waitBefore(next action, r sink.Result, v attempt) time.Duration {
	switch {
	case r.Reason == sink.LocalResources:
		return exhaustionPause // limits the rate of reroutes
	case r.Outcome == sink.Failed && next != reroute:
		return backoff(v.failures - 1)
	default:
		return 0
	}
}

// send makes one request, unless the analyzer became unavailable, and records its result.
func (s *sender) send(batch []Delivery, v attempt) sink.Result {
	u := s.upstream
	ctx := u.sending.Load().Context // before the check, so that no interrupt is missed
	start := time.Now()
	if ctx.Err() != nil || !u.accepting(start) {
		return sink.Result{Outcome: sink.Aborted, Unsent: true}
	}
	s.packets = AppendPackets(s.packets[:0], batch)
	timeout := u.config.Load().Timeout
	result := withTimeout(s.conn.Send(ctx, s.packets, start.Add(timeout)), "response", timeout, "SENDER_TIMEOUT_MS")
	clear(s.packets)
	if result.ProbeSoon {
		u.prober.rescheduled.Notify()
	}
	if result.Outcome == sink.Rejected && result.Reason == sink.TooLarge {
		u.batch.shrink(len(batch))
	}
	if result.Outcome != sink.Rejected || !result.Unsent { // else it is no evidence about the analyzer
		u.record(result, batch, v, start, time.Now())
	}
	return result
}

// withTimeout returns a result whose Detail says which timeout ended a request.
func withTimeout(r sink.Result, what string, timeout time.Duration, setting string) sink.Result {
	if r.Reason == sink.Timeout {
		r.Detail = fmt.Sprintf("no %s within %v, %s", what, timeout, setting)
	}
	return r
}

// record reports the result of a request to metrics, limits and breaker.
func (u *Upstream) record(r sink.Result, batch []Delivery, v attempt, start, end time.Time) {
	u.metrics.sent(r, end.Sub(start))
	switch {
	case r.Outcome == sink.Aborted:
		return // not caused by the analyzer
	case r.Outcome == sink.Throttled:
		if u.throttles.repeated(u.elapsed(start), u.elapsed(end), u.lastDelivered.Load()) {
			u.batch.shrink(len(batch))
		}
		u.pause(end.Add(r.Pause))
		return
	case r.Outcome == sink.Failed && r.Reason == sink.Timeout && v.failures == 0:
		u.batch.shrink(len(batch))
	case r.Outcome == sink.Delivered:
		if len(r.Exceptions) < len(batch) {
			u.lastDelivered.Store(u.elapsed(end))
		}
		u.batch.adapt(len(batch), end.Sub(start), u.config.Load().Timeout)
		// Packets read back from disk have wall-clock times only, which may be in the future.
		u.metrics.latency.observe(max(0, end.Sub(batch[0].Packet.Accepted)).Seconds())
	}
	u.reportResult(r, batch, v, end)
}

// settle settles a batch of which the result of each packet is known.
func (s *sender) settle(batch []Delivery, r sink.Result) {
	if r.Outcome == sink.Rejected {
		s.reject(Rejection{batch[0], r.Reason, r.Detail})
		return
	}
	u := s.upstream
	var throttled, failed []Delivery
	var rejections []Rejection
	for _, e := range r.Exceptions {
		d := batch[e.Packet]
		batch[e.Packet].Packet = nil
		switch {
		case e.Failed:
			failed = append(failed, d)
		case e.Reason == "":
			throttled = append(throttled, d)
		default:
			rejections = append(rejections, Rejection{d, e.Reason, e.Detail})
		}
	}
	acked := batch
	if len(r.Exceptions) > 0 {
		acked = withoutSettled(batch)
	}
	if len(acked) > 0 {
		u.limit.settled.Add(int64(len(acked)))
		volume := VolumeOf(acked)
		u.metrics.delivered(volume)
		u.pace.record(volume.Messages)
		u.settler.Delivered(u.id, acked)
	}
	if len(rejections) > 0 {
		s.reject(rejections...)
	}
	if len(throttled) > 0 {
		u.pause(time.Now().Add(r.Pause))
		s.nackOrReject(throttled, r, attempt{})
	}
	if len(failed) > 0 {
		s.nackFailed(failed, r, len(batch))
	}
}

// nackFailed returns packets that the analyzer failed with while it took others. All have
// the detail of the first as the cause.
func (s *sender) nackFailed(deliveries []Delivery, r sink.Result, batchSize int) {
	at := slices.IndexFunc(r.Exceptions, func(e sink.Exception) bool { return e.Failed })
	s.nackOrReject(deliveries, r, attempt{failures: 1, batchSize: batchSize, cause: r.Exceptions[at].Detail, breakerClosed: s.upstream.breaker.Closed()})
}

// nackOrReject returns packets to be rerouted, unless a packet keeps failing.
func (s *sender) nackOrReject(deliveries []Delivery, r sink.Result, v attempt) {
	u := s.upstream
	if v.mayHaveFailed() {
		u.recordFailure(deliveries, v, time.Now())
	}
	if d := deliveries[0]; keepsFailing(d) {
		s.reject(Rejection{d, reasonFailing, d.Failures.Cause})
		return
	}
	for i := range deliveries {
		deliveries[i].Attempted = v.mayHaveFailed() || !r.Unsent
	}
	u.nack(deliveries)
}

func (s *sender) reject(rejections ...Rejection) {
	s.upstream.limit.settled.Add(int64(len(rejections)))
	s.upstream.settler.Rejected(s.upstream.id, rejections)
}

// withoutSettled removes the deliveries without a packet.
func withoutSettled(batch []Delivery) []Delivery {
	return slices.DeleteFunc(batch, func(d Delivery) bool { return d.Packet == nil })
}

func backoff(attempt int) time.Duration {
	ceiling := min(maxBackoff, minBackoff<<min(attempt, 10))
	return rand.N(ceiling) + 1
}
