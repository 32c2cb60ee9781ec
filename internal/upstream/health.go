package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// failingProbeInterval is the minimum interval between the starts of probes while the
// breaker is not open although the last probe failed. At most one probe is in flight.
const failingProbeInterval = time.Second

// minProbeInterval is the minimum interval between probes of an analyzer that may have been
// replaced or could not be connected to. Failed connects are cheap, and with this interval
// MAX_FAILURES of them open the breaker soon.
const minProbeInterval = 100 * time.Millisecond

// probeResult is the result of a probe as far as the time of the next one depends on it.
type probeResult int

const (
	probeSucceeded   probeResult = iota
	probeFailed                  // another status than 2xx, or a timeout
	probeUnreachable             // the connection could not be opened, or was reset
	probeNotSent                 // this machine lacked the resources
)

// prober sends the health probes of one analyzer.
type prober struct {
	upstream    *Upstream
	connection  *connection
	request     *request
	rescheduled chan struct{} // the next probe may be due earlier
	lastStart   time.Time
	lastResult  probeResult
}

func newProber(u *Upstream, c *connection, r *request) *prober {
	r.prepareGet()
	return &prober{upstream: u, connection: c, request: r, rescheduled: make(chan struct{}, 1)}
}

// probeFirst sends the first probe and trips the breaker if it fails: an analyzer that
// never answered is unhealthy.
func (p *prober) probeFirst(ctx context.Context) {
	u := p.upstream
	if err := p.send(ctx); err != nil {
		u.onTransition(u.breaker.Trip(time.Now()))(err.Error())
	}
}

func (p *prober) run(ctx context.Context) {
	timer := time.NewTimer(p.delay())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.rescheduled:
		case <-timer.C:
			p.probe(ctx)
		}
		timer.Reset(p.delay())
	}
}

// reschedule makes run compute the time of the next probe again.
func (p *prober) reschedule() {
	select {
	case p.rescheduled <- struct{}{}:
	default:
	}
}

func (p *prober) probe(ctx context.Context) {
	u := p.upstream
	err := p.send(ctx)
	if ctx.Err() != nil {
		return
	}
	if p.lastResult == probeNotSent {
		return // says nothing about the analyzer
	}
	if err != nil {
		u.onTransition(u.breaker.ProbeFailed(time.Now()))(err.Error())
		return
	}
	u.onTransition(u.breaker.ProbeSucceeded(time.Now()))("the probe succeeded")
}

// send sends one probe over a new connection, as a new client would.
func (p *prober) send(ctx context.Context) error {
	u := p.upstream
	p.connection.begin()
	p.lastStart = time.Now()
	epoch := u.epoch.number.Load()
	resp, err := p.connection.exchange(ctx, p.request, p.lastStart.Add(u.config.ProbeTimeout))
	defer p.connection.close()
	if err == nil && !isSuccess(resp.status) {
		err = fmt.Errorf("the probe was answered with status %d", resp.status)
	}
	p.lastResult = resultOf(err)
	u.metrics.probed(p.lastResult)
	if err == nil {
		u.epoch.learn(epoch, acceptsNDJSON(resp))
	}
	return err
}

func resultOf(err error) probeResult {
	var connect *errConnect
	switch {
	case err == nil:
		return probeSucceeded
	case errors.As(err, &connect) && isExhaustion(err):
		return probeNotSent
	case isTimeout(err):
		return probeFailed
	case errors.As(err, &connect), closedByPeer(err):
		return probeUnreachable
	default:
		return probeFailed
	}
}

// delay returns the time until the next probe, with jitter so that several distributors
// do not synchronize.
func (p *prober) delay() time.Duration {
	u := p.upstream
	state, interval := u.breaker.State(), u.config.ProbeInterval
	switch {
	case p.lastResult == probeNotSent:
		return max(time.Until(u.breaker.NextProbe()), time.Until(p.lastStart.Add(min(failingProbeInterval, interval))), exhaustionPause)
	case state == breaker.Open:
		return max(time.Until(u.breaker.NextProbe()), time.Millisecond)
	case p.lastResult == probeUnreachable:
		return min(minProbeInterval+rand.N(minProbeInterval/2), interval)
	case p.lastResult == probeFailed:
		return min(max(time.Until(p.lastStart.Add(failingProbeInterval)), minProbeInterval), interval)
	case state == breaker.HalfOpen:
		return min(failingProbeInterval, interval)
	case u.epoch.stale():
		return max(time.Until(p.lastStart.Add(minProbeInterval)), 0)
	default:
		return interval - interval/10 + rand.N(interval/5+1)
	}
}

// acceptsNDJSON reports whether the Accept-Post of a health response lists NDJSON.
func acceptsNDJSON(r response) bool {
	for kind := range strings.SplitSeq(r.field("Accept-Post"), ",") {
		kind, _, _ = strings.Cut(kind, ";")
		if strings.EqualFold(strings.TrimSpace(kind), ndjsonType) {
			return true
		}
	}
	return false
}
