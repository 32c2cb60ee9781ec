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
const doubtInterval = time.Second

// promptInterval is the time between probes, at least, of an analyzer that may be
// another one than before, or that could not be connected to. The latter costs neither
// side much, and MAX_FAILURES of them come soon.
const promptInterval = 100 * time.Millisecond

// probeResult is what became of the last probe, as far as the next one's time goes.
type probeResult int

const (
	probeAnswered    probeResult = iota
	probeFailed                  // with an answer that is no 2xx, or none in time
	probeUnreachable             // the connection was refused or reset, or could not be opened
	probeNotMade                 // this machine lacked the resources
)

// prober asks an analyzer for its health, in its own time.
type prober struct {
	upstream   *Upstream
	connection *connection
	request    *request
	edge       chan struct{} // the next probe may be due sooner
	asked      time.Time     // when the last probe began
	result     probeResult   // its result
}

func newProber(u *Upstream, c *connection, r *request) *prober {
	r.get()
	return &prober{upstream: u, connection: c, request: r, edge: make(chan struct{}, 1)}
}

// first asks once, before any packet is sent. An analyzer that has never
// answered is not healthy.
func (p *prober) first(ctx context.Context) {
	u := p.upstream
	if err := p.ask(ctx); err != nil {
		u.note(u.breaker.Trip(time.Now()))(err.Error())
	}
}

func (p *prober) run(ctx context.Context) {
	timer := time.NewTimer(p.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.edge:
		case <-timer.C:
			p.probe(ctx)
		}
		timer.Reset(p.pause())
	}
}

// reschedule makes the time until the next probe be looked at again.
func (p *prober) reschedule() {
	select {
	case p.edge <- struct{}{}:
	default:
	}
}

func (p *prober) probe(ctx context.Context) {
	u := p.upstream
	err := p.ask(ctx)
	if ctx.Err() != nil {
		return
	}
	if p.result == probeNotMade {
		return // which says nothing of the analyzer
	}
	if err != nil {
		u.note(u.breaker.ProbeFailed(time.Now()))(err.Error())
		return
	}
	u.note(u.breaker.ProbeSucceeded(time.Now()))("the probe is answered")
}

// ask makes one probe on a connection of its own, as a new client would.
func (p *prober) ask(ctx context.Context) error {
	u := p.upstream
	p.connection.begin()
	p.asked = time.Now()
	number := u.incarnation.number.Load()
	answer, err := p.connection.exchange(ctx, p.request, p.asked.Add(u.config.ProbeTimeout))
	defer p.connection.close()
	if err == nil && !isSuccess(answer.status) {
		err = fmt.Errorf("the probe is answered with %d", answer.status)
	}
	p.result = resultOf(err)
	u.metrics.probed(p.result)
	if err == nil {
		u.incarnation.learn(number, acceptsLines(answer))
	}
	return err
}

func resultOf(err error) probeResult {
	var connect *errConnect
	switch {
	case err == nil:
		return probeAnswered
	case errors.As(err, &connect) && isShortage(err):
		return probeNotMade
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
func (p *prober) pause() time.Duration {
	u := p.upstream
	state, interval := u.breaker.State(), u.config.ProbeInterval
	switch {
	case p.result == probeNotMade:
		return max(time.Until(u.breaker.NextTrial()), time.Until(p.asked.Add(min(doubtInterval, interval))), shortagePause)
	case state == breaker.Open:
		return max(time.Until(u.breaker.NextTrial()), time.Millisecond)
	case p.result == probeUnreachable:
		return min(promptInterval+rand.N(promptInterval/2), interval)
	case p.result == probeFailed:
		return min(max(time.Until(p.asked.Add(doubtInterval)), promptInterval), interval)
	case state == breaker.HalfOpen:
		return min(doubtInterval, interval)
	case u.incarnation.outdated():
		return max(time.Until(p.asked.Add(promptInterval)), 0)
	default:
		return interval - interval/10 + rand.N(interval/5+1)
	}
}

// acceptsLines tells whether the health answer's Accept-Post lists NDJSON.
func acceptsLines(r response) bool {
	for kind := range strings.SplitSeq(r.field("Accept-Post"), ",") {
		kind, _, _ = strings.Cut(kind, ";")
		if strings.EqualFold(strings.TrimSpace(kind), ndjsonType) {
			return true
		}
	}
	return false
}
