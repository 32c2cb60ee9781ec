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

// doubtInterval is from the beginning of one probe to the next, at least, of an analyzer
// that is thought healthy although its last probe failed. One that hangs has a probe that
// waits most of the time, but no more than one.
const failingProbeInterval = time.Second

// promptInterval is the time between probes, at least, of an analyzer that may be
// another one than before, or that could not be connected to. The latter costs neither
// side much, and MAX_FAILURES of them come soon.
const minProbeInterval = 100 * time.Millisecond

// probeResult is what became of the last probe, as far as the next one's time goes.
type probeResult int

const (
	probeSucceeded   probeResult = iota
	probeFailed                  // with an answer that is no 2xx, or none in time
	probeUnreachable             // the connection was refused or reset, or could not be opened
	probeNotSent                 // this machine lacked the resources
)

// prober asks an analyzer for its health, in its own time.
type prober struct {
	upstream    *Upstream
	connection  *connection
	request     *request
	rescheduled chan struct{} // the next probe may be due sooner
	lastStart   time.Time     // when the last probe began
	lastResult  probeResult   // its result
}

func newProber(u *Upstream, c *connection, r *request) *prober {
	r.prepareGet()
	return &prober{upstream: u, connection: c, request: r, rescheduled: make(chan struct{}, 1)}
}

// first asks once, before any packet is sent. An analyzer that has never
// answered is not healthy.
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

// reschedule makes the time until the next probe be looked at again.
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
		return // which says nothing of the analyzer
	}
	if err != nil {
		u.onTransition(u.breaker.ProbeFailed(time.Now()))(err.Error())
		return
	}
	u.onTransition(u.breaker.ProbeSucceeded(time.Now()))("the probe is answered")
}

// ask makes one probe on a connection of its own, as a new client would.
func (p *prober) send(ctx context.Context) error {
	u := p.upstream
	p.connection.begin()
	p.lastStart = time.Now()
	epoch := u.epoch.number.Load()
	resp, err := p.connection.exchange(ctx, p.request, p.lastStart.Add(u.config.ProbeTimeout))
	defer p.connection.close()
	if err == nil && !isSuccess(resp.status) {
		err = fmt.Errorf("the probe is answered with %d", resp.status)
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

// pause returns the time until the next probe, jittered so that many
// distributors do not ask together.
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

// acceptsLines tells whether the health answer's Accept-Post lists NDJSON.
func acceptsNDJSON(r response) bool {
	for kind := range strings.SplitSeq(r.field("Accept-Post"), ",") {
		kind, _, _ = strings.Cut(kind, ";")
		if strings.EqualFold(strings.TrimSpace(kind), ndjsonType) {
			return true
		}
	}
	return false
}
