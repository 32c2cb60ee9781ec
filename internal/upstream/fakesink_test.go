package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// reply is the behaviour of a fakeSink for one request or probe.
type reply struct {
	delay  time.Duration
	hang   bool // until the deadline or the end of the context
	result sink.Result
	// batches means, as the reply to a probe, that several packets are accepted.
	batches bool
}

var (
	ok          = reply{}
	hanging     = reply{hang: true}
	failing     = reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Status, Detail: `answered 500 "no"`}}
	closing     = reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Reset, Detail: "EOF"}}
	unreachable = reply{result: sink.Result{Outcome: sink.Failed, Reason: sink.Connect, Detail: "connect: refused", Unsent: true}}
	exhausted   = reply{result: sink.Result{Outcome: sink.Aborted, Reason: sink.LocalResources, Detail: "no descriptors", Unsent: true}}
)

func rejecting(reason string) reply {
	return reply{result: sink.Result{Outcome: sink.Rejected, Reason: reason, Detail: "no"}}
}

func throttling(pause time.Duration) reply {
	return reply{result: sink.Result{Outcome: sink.Throttled, Reason: sink.NotNow, Pause: pause}}
}

// excepting returns a delivery except for packets, with the reasons by index; a reason is
// empty for a throttled packet.
func excepting(reasons map[int]string) reply {
	r := reply{result: sink.Result{Pause: time.Second}}
	for i, reason := range reasons {
		r.result.Exceptions = append(r.result.Exceptions, sink.Exception{Packet: i, Reason: reason})
	}
	return r
}

// after returns the reply with a delay.
func after(delay time.Duration, r reply) reply {
	r.delay = delay
	return r
}

// request is a request as a fakeSink received it.
type request struct {
	bodies []string
	conn   int
}

func (r request) contains(text string) bool {
	return strings.Contains(strings.Join(r.bodies, ""), text)
}

// fakeSink is a Sink with programmable replies. It fails the test if its contract is
// violated.
type fakeSink struct {
	t testing.TB

	mu           sync.Mutex
	health       func() reply
	ingest       func(request) reply
	requests     []request
	probes       int
	conns        int
	gone         bool // the backend is unreachable
	replaced     bool // which the next request finds out
	capabilities sink.Capabilities
	probing      atomic.Bool
}

func newFakeSink(t testing.TB, ingest func(request) reply) *fakeSink {
	return &fakeSink{t: t, ingest: ingest, health: func() reply { return ok }, capabilities: sink.Capabilities{MaxPackets: 1}}
}

// batching is the reply to a probe of a backend that accepts several packets.
func batching() reply { return reply{batches: true} }

func always(r reply) func(request) reply { return func(request) reply { return r } }

func (s *fakeSink) set(change func(*fakeSink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// replace makes the capabilities stale. It reports whether they were not before.
func (s *fakeSink) replace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaceLocked()
}

func (s *fakeSink) replaceLocked() bool {
	if s.capabilities.MaxPackets == 1 {
		return false
	}
	s.capabilities = sink.Capabilities{MaxPackets: 1, Stale: true}
	return true
}

func (s *fakeSink) received() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

func (s *fakeSink) probeCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

func (s *fakeSink) Capabilities() sink.Capabilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.capabilities
}

func (s *fakeSink) Probe(ctx context.Context, deadline time.Time) sink.Result {
	if !s.probing.CompareAndSwap(false, true) {
		s.t.Error("two probes at a time")
	}
	defer s.probing.Store(false)
	s.mu.Lock()
	health := s.health
	if s.gone {
		health = func() reply { return unreachable }
	} else {
		s.probes++
	}
	s.mu.Unlock()
	r := health()
	result := r.wait(ctx, deadline)
	if result.Outcome == sink.Delivered {
		s.set(func(s *fakeSink) {
			s.capabilities = sink.Capabilities{MaxPackets: 1}
			if r.batches {
				s.capabilities.MaxPackets = math.MaxInt
			}
		})
	}
	return result
}

// wait returns the result after the delay.
func (r reply) wait(ctx context.Context, deadline time.Time) sink.Result {
	if !r.hang && r.delay == 0 {
		return r.result
	}
	delay := time.Until(deadline)
	result := sink.Result{Outcome: sink.Failed, Reason: sink.Timeout, Detail: "timeout"}
	if !r.hang && r.delay <= delay {
		delay, result = r.delay, r.result
	}
	timer := time.NewTimer(delay) // synthetic time
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return sink.Result{Outcome: sink.Aborted}
	case <-timer.C:
		return result
	}
}

func (s *fakeSink) NewConn() sink.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	return &fakeConn{sink: s, number: s.conns}
}

type fakeConn struct {
	sink   *fakeSink
	number int
	busy   atomic.Bool // or closed
}

func (c *fakeConn) Close() { c.begin() }

func (c *fakeConn) begin() {
	if !c.busy.CompareAndSwap(false, true) {
		c.sink.t.Error("a connection is used concurrently or after Close")
	}
}

func (c *fakeConn) Send(ctx context.Context, packets []*packet.Packet, deadline time.Time) sink.Result {
	c.begin()
	defer c.busy.Store(false)
	if ctx.Err() != nil {
		return sink.Result{Outcome: sink.Aborted}
	}
	one, traces := request{conn: c.number}, 0
	for i, p := range packets {
		one.bodies = append(one.bodies, string(p.Body))
		if i == 0 || p.Traceparent != packets[i-1].Traceparent {
			traces++
		}
		if len(packets) > 1 && (p.SpansLines || traces > max(1, c.sink.Capabilities().MaxTraces)) {
			c.sink.t.Error("packets that may not share a request do")
		}
	}
	ingest, result := c.sink.admit(one)
	if ingest == nil {
		return result
	}
	probeSoon := result.ProbeSoon
	result = ingest(one).wait(ctx, deadline)
	result.ProbeSoon = result.ProbeSoon || probeSoon
	return result
}

// admit records a request that reaches the backend and returns how that behaves.
func (s *fakeSink) admit(one request) (ingest func(request) reply, result sink.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.replaced {
		s.replaced = false
		result.ProbeSoon = s.replaceLocked()
	}
	switch {
	case s.gone:
		probeSoon := result.ProbeSoon
		result = unreachable.result
		result.ProbeSoon = probeSoon
		return nil, result
	case len(one.bodies) > s.capabilities.MaxPackets:
		result.Outcome, result.Reason, result.Unsent = sink.Rejected, sink.UnsupportedMedia, true
		return nil, result
	}
	s.requests = append(s.requests, one)
	return s.ingest, result
}

// fixture is an Upstream under test with its Settler.
type fixture struct {
	*Upstream
	settler *recorder
	packets *packetMaker
}

func testConfig() Config {
	config := DefaultConfig()
	config.ID = "one"
	config.Concurrency = 1
	return config
}

// start starts an Upstream that is stopped when the test ends.
func start(t *testing.T, config Config, s sink.Sink) *fixture {
	t.Helper()
	b := prepare(t, config, s)
	b.Start(t.Context())
	return b
}

// prepare returns an Upstream that is not started.
func prepare(t *testing.T, config Config, s sink.Sink) *fixture {
	t.Helper()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	b := &fixture{settler: newRecorder(), packets: &packetMaker{}}
	b.Upstream = New(config, Dependencies{
		Sink: s, Budget: new(retrybudget.Budget), Settler: b.settler, Logger: slog.New(slog.DiscardHandler), Metrics: metrics,
	})
	t.Cleanup(b.Stop)
	return b
}

// failures returns the number of failed requests with a reason.
func (b *fixture) failures(reason string) float64 {
	return testutil.ToFloat64(b.metrics.failures[reason])
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// batchSizes formats the number of packets of each request.
func batchSizes(requests []request) string {
	var sizes []int
	for _, r := range requests {
		sizes = append(sizes, len(r.bodies))
	}
	return fmt.Sprint(sizes)
}
