package emitter

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// retryCause is the reason for a retry.
type retryCause int

const (
	causeConnect retryCause = iota
	causeReset
	causeTimeout
	causeRateLimited
	causeUnavailable
	causeServerError
	retryCauses
)

func causeOfStatus(status int) retryCause {
	switch status {
	case fasthttp.StatusRequestTimeout:
		return causeTimeout
	case fasthttp.StatusTooManyRequests:
		return causeRateLimited
	case fasthttp.StatusServiceUnavailable:
		return causeUnavailable
	}
	return causeServerError
}

// Latencies are recorded in microseconds with three significant digits; longer
// ones than maxLatency count as maxLatency.
const (
	maxLatency        = int64(time.Hour / time.Microsecond)
	significantDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxLatency, significantDigits)
}

// counters counts the packets, messages and lines of a run. One lock guards all
// of them, so that every report is consistent. Safe for concurrent use.
type counters struct {
	mu      sync.Mutex
	report  Report // Left, Latency and Elapsed are set by snapshot
	retries [retryCauses]int64
	// recent holds the latencies since the last call of interval, earlier all
	// before.
	recent, earlier *hdrhistogram.Histogram
	started, ended  time.Time
}

func newCounters(runID string) *counters {
	return &counters{
		report:  Report{RunID: runID, RefusedByStatus: make(map[int]int64)},
		recent:  newHistogram(),
		earlier: newHistogram(),
	}
}

func (t *counters) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = time.Now()
}

func (t *counters) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = time.Now()
}

// produced counts a packet from the source, or only its lines when it has no
// body.
func (t *counters) produced(p *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(p.body) > 0 {
		t.report.Packets.Generated++
		t.report.Messages.Generated += int64(p.messages)
	}
	lines := &t.report.Lines
	lines.Read += p.lines.read
	lines.Empty += p.lines.empty
	lines.Truncated += p.lines.truncated
	lines.Repaired += p.lines.repaired
}

func (t *counters) accepted(p *outgoing, latency time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.Accepted++
	t.report.Messages.Accepted += int64(p.messages)
	t.report.Lines.Accepted += p.lines.carried
	t.report.Bytes += int64(len(p.body))
	// RecordValue cannot fail: the value is clamped to the histogram's range.
	_ = t.recent.RecordValue(min(max(latency.Microseconds(), 1), maxLatency))
}

// refused reports whether the packet is the first one refused with that status.
func (t *counters) refused(p *outgoing, status int) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.Refused++
	t.report.Messages.Refused += int64(p.messages)
	t.report.Lines.Refused += p.lines.carried
	t.report.RefusedByStatus[status]++
	return t.report.RefusedByStatus[status] == 1
}

func (t *counters) gaveUp(p *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.GaveUp++
	t.report.Messages.GaveUp += int64(p.messages)
	t.report.Lines.GaveUp += p.lines.carried
}

// left counts the lines of a packet that was not sent; packets and messages
// left are computed by reportWith.
func (t *counters) left(p *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Lines.Left += p.lines.carried
}

func (t *counters) retried(cause retryCause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retries[cause]++
}

// snapshot returns the current report.
func (t *counters) snapshot() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := newHistogram()
	all.Merge(t.earlier)
	all.Merge(t.recent)
	return t.reportWith(all)
}

// interval returns the current report with the latencies since the last call.
func (t *counters) interval() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	report := t.reportWith(t.recent)
	t.earlier.Merge(t.recent)
	t.recent.Reset()
	return report
}

// reportWith is called with mu held.
func (t *counters) reportWith(latencies *hdrhistogram.Histogram) Report {
	r := t.report
	r.RefusedByStatus = maps.Clone(r.RefusedByStatus)
	r.Packets.Left = r.Packets.Generated - r.Packets.completed()
	r.Messages.Left = r.Messages.Generated - r.Messages.completed()
	r.Retries = Retries{
		Connect:     t.retries[causeConnect],
		Reset:       t.retries[causeReset],
		Timeout:     t.retries[causeTimeout],
		RateLimited: t.retries[causeRateLimited],
		Unavailable: t.retries[causeUnavailable],
		ServerError: t.retries[causeServerError],
	}
	r.Latency = latencyOf(latencies)
	switch {
	case !t.ended.IsZero():
		r.Elapsed = t.ended.Sub(t.started)
	case !t.started.IsZero():
		r.Elapsed = time.Since(t.started)
	}
	return r
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(quantile float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(quantile)) * time.Microsecond
	}
	return Latency{
		Count: h.TotalCount(),
		P50:   at(50), P90: at(90), P99: at(99), P999: at(99.9),
		Max: time.Duration(h.Max()) * time.Microsecond,
	}
}
