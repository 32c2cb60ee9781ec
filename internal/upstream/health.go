package upstream

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// failingProbeInterval is the minimum interval between the starts of probes while the
// breaker is not open although the last probe failed. At most one probe is in flight.
const failingProbeInterval = time.Second

// minProbeInterval is the minimum interval between probes of an analyzer that may have been
// replaced or could not be connected to. Failed connects are cheap, and with this interval
// MAX_FAILURES of them open the breaker soon.
const minProbeInterval = 100 * time.Millisecond

// exhaustionPause is the minimum interval between requests and probes that need a new
// connection while this machine lacks the resources for one.
const exhaustionPause = 100 * time.Millisecond

// prober sends the health probes of one analyzer.
type prober struct {
	upstream    *Upstream
	rescheduled worker.Signal // the next probe may be due earlier
	lastStart   time.Time
	last        sink.Result
}

func newProber(u *Upstream) *prober {
	return &prober{upstream: u, rescheduled: worker.NewSignal()}
}

// probeFirst sends the first probe and trips the breaker if it fails: an analyzer that
// never answered is unhealthy.
func (p *prober) probeFirst(ctx context.Context) {
	u := p.upstream
	if p.send(ctx); p.last.Outcome != sink.Delivered {
		u.onTransition(u.breaker.Trip(time.Now()), p.last.Detail)
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
			p.resume(ctx)
		case <-timer.C:
			if !p.upstream.unprobed.Load() {
				p.probe(ctx)
			}
		}
		timer.Reset(p.delay())
	}
}

// resume sends the first probe after maintenance.
func (p *prober) resume(ctx context.Context) {
	u := p.upstream
	if u.unprobed.Load() || u.probed.Load() {
		return
	}
	p.probeFirst(ctx)
	u.slowStartFrom.Store(u.elapsed(time.Now()))
	u.setProbed()
	u.settler.CapacityChanged()
}

func (p *prober) probe(ctx context.Context) {
	u := p.upstream
	switch p.send(ctx); p.last.Outcome {
	case sink.Delivered:
		u.onTransition(u.breaker.ProbeSucceeded(time.Now()), "the probe succeeded")
	case sink.Aborted: // is no evidence about the analyzer
	default:
		u.onTransition(u.breaker.ProbeFailed(time.Now()), p.last.Detail)
		if p.last.Reason == sink.Loop {
			p.refuseLoop()
		}
	}
}

// refuseLoop opens the breaker of an analyzer from which packets would come back. One that was out
// for another reason is reported once.
func (p *prober) refuseLoop() {
	u, detail := p.upstream, p.last.Detail
	u.onTransition(u.breaker.Trip(time.Now()), detail)
	if before := u.outage.Load(); before != nil && *before != detail {
		u.outage.Store(&detail)
		u.logger.Error("analyzer is refused: packets would go round", "cause", detail)
	}
}

func (p *prober) send(ctx context.Context) {
	u := p.upstream
	p.lastStart = time.Now()
	timeout := u.config.Load().ProbeTimeout
	p.last = withTimeout(u.sink.Probe(ctx, p.lastStart.Add(timeout)), "response to a probe", timeout, "HEALTH_CHECK_TIMEOUT_SEC")
	u.metrics.probed(p.last)
}

// delay returns the time until the next probe, with jitter so that several distributors
// do not synchronize.
func (p *prober) delay() time.Duration {
	u := p.upstream
	state, interval := u.breaker.State(), u.config.Load().ProbeInterval
	switch {
	case u.unprobed.Load():
		return time.Hour // SetProbing reschedules
	case p.last.Reason == sink.LocalResources:
		return max(time.Until(u.breaker.NextProbe()), time.Until(p.lastStart.Add(min(failingProbeInterval, interval))), exhaustionPause)
	case state == breaker.Open:
		return max(time.Until(u.breaker.NextProbe()), time.Millisecond)
	case p.last.Reason == sink.Connect, p.last.Reason == sink.Reset:
		return min(minProbeInterval+rand.N(minProbeInterval/2), interval)
	case p.last.Outcome != sink.Delivered:
		return min(max(time.Until(p.lastStart.Add(failingProbeInterval)), minProbeInterval), interval)
	case state == breaker.HalfOpen:
		return min(failingProbeInterval, interval)
	case u.sink.Capabilities().Stale:
		return max(time.Until(p.lastStart.Add(minProbeInterval)), 0)
	default:
		return interval - interval/10 + rand.N(interval/5+1)
	}
}
