package emitter

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// retryCause is why a packet is sent again.
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

// Latencies are kept in microseconds, with three significant digits, up to an
// hour; longer ones count as an hour.
const (
	longestLatency    = int64(time.Hour / time.Microsecond)
	significantDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longestLatency, significantDigits)
}

// tally keeps the books of a run. One lock guards them all, so that every
// report adds up. It may be used concurrently.
type tally struct {
	mu      sync.Mutex
	report  Report // Left, Latency and Elapsed are filled in by snapshot
	retries [retryCauses]int64
	// recent holds the latencies since the last call of interval, earlier
	// those before.
	recent, earlier *hdrhistogram.Histogram
	started, ended  time.Time
}

func newTally(runID string) *tally {
	return &tally{
		report:  Report{RunID: runID, RefusedByStatus: make(map[int]int64)},
		recent:  newHistogram(),
		earlier: newHistogram(),
	}
}

func (t *tally) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = time.Now()
}

func (t *tally) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = time.Now()
}

// produced counts what the source handed out: a packet, or only lines.
func (t *tally) produced(p *outgoing) {
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

func (t *tally) accepted(p *outgoing, latency time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.Accepted++
	t.report.Messages.Accepted += int64(p.messages)
	t.report.Lines.Accepted += p.lines.packed
	t.report.Bytes += int64(len(p.body))
	// The value is clamped into the histogram's range, so this cannot fail.
	_ = t.recent.RecordValue(min(max(latency.Microseconds(), 1), longestLatency))
}

// refused tells whether this was the first refusal with that status.
func (t *tally) refused(p *outgoing, status int) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.Refused++
	t.report.Messages.Refused += int64(p.messages)
	t.report.Lines.Refused += p.lines.packed
	t.report.RefusedByStatus[status]++
	return t.report.RefusedByStatus[status] == 1
}

func (t *tally) gaveUp(p *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Packets.GaveUp++
	t.report.Messages.GaveUp += int64(p.messages)
	t.report.Lines.GaveUp += p.lines.packed
}

// left counts lines of a packet that stays behind; its packet and messages are
// what remains of those generated.
func (t *tally) left(p *outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Lines.Left += p.lines.packed
}

func (t *tally) retried(cause retryCause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retries[cause]++
}

// snapshot returns the books as they stand.
func (t *tally) snapshot() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := newHistogram()
	all.Merge(t.earlier)
	all.Merge(t.recent)
	return t.reportWith(all)
}

// interval returns the books with the latencies since the last call.
func (t *tally) interval() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	report := t.reportWith(t.recent)
	t.earlier.Merge(t.recent)
	t.recent.Reset()
	return report
}

// reportWith is called with mu held.
func (t *tally) reportWith(latencies *hdrhistogram.Histogram) Report {
	r := t.report
	r.RefusedByStatus = maps.Clone(r.RefusedByStatus)
	r.Packets.Left = r.Packets.Generated - r.Packets.settled()
	r.Messages.Left = r.Messages.Generated - r.Messages.settled()
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
