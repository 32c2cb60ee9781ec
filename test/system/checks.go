package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/emitter"
)

// test runs the checks in order; each starts from the state left by the
// previous one.
type test struct {
	deployment
	load   time.Duration
	out    io.Writer
	passed int
	failed int
}

// check prints the result of one check.
func (t *test) check(ok bool, format string, args ...any) {
	word := "ok  "
	if ok {
		t.passed++
	} else {
		t.failed++
		word = "FAIL"
	}
	_, _ = fmt.Fprintf(t.out, "%s  %s\n", word, fmt.Sprintf(format, args...))
}

func (t *test) verdict() error {
	_, _ = fmt.Fprintf(t.out, "\n%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 {
		return fmt.Errorf("%d checks failed", t.failed)
	}
	return nil
}

func (t *test) all(ctx context.Context) {
	t.healthy(ctx)
	t.split(ctx)
	t.analyzerKilled(ctx)
	t.analyzerRestarted(ctx)
	t.refusals(ctx)
	t.noAnalyzers(ctx)
	t.stop(ctx)
}

// emit sends load and returns the emitter's report.
func (t *test) emit(ctx context.Context, rate float64, size string, duration time.Duration) (emitter.Report, error) {
	config := emitter.DefaultConfig()
	config.Target = t.ingest() + "/ingest"
	config.Rate, config.PacketSize, config.Duration = rate, size, duration
	config.Concurrency = 32
	e, err := emitter.New(config, emitter.Dependencies{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return emitter.Report{}, err
	}
	return e.Run(ctx)
}

func (t *test) healthy(ctx context.Context) {
	a := request(ctx, http.MethodGet, t.ingest()+"/health", "", "")
	t.check(a.status == 200 && strings.Contains(a.body, `"healthy_analyzers":3`), "health: %d %s", a.status, a.body)
}

// split checks throughput, the split by messages at every scrape, and that
// packets stay whole.
func (t *test) split(ctx context.Context) {
	scraping, stop := context.WithCancel(ctx)
	worst, bound, scrapes, unaccounted := 0.0, 0.0, 0, 0.0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scraping.Err() == nil {
			s, err := scrapeMetrics(scraping, t.metrics())
			if err != nil {
				continue
			}
			scrapes++
			worst, bound = max(worst, s.maxDeviation()), max(bound, s.bound)
			unaccounted = max(unaccounted, math.Abs(s.unaccounted))
		}
	}()
	report, err := t.emit(ctx, 3000, "5,20", t.load)
	stop()
	<-done
	t.check(err == nil && report.Packets.Accepted == report.Packets.Generated,
		"load: %d packets emitted, %d accepted, %d refused", report.Packets.Generated, report.Packets.Accepted, report.Packets.Refused)
	rate := float64(report.Messages.Accepted) / report.Elapsed.Seconds()
	t.check(rate >= 10_000, "throughput: %.0f messages/s in packets of 5 and 20 (at least 10 000 are wanted), p99 %v", rate, report.Latency.P99)
	t.check(scrapes > 0 && worst <= bound+1, "split: at each of %d scrapes every analyzer was within %.1f messages of its share (the bound is %.1f)", scrapes, worst, bound)
	t.check(scrapes > 0 && unaccounted == 0, "totals: unaccounted messages at each of %d scrapes: at most %.0f", scrapes, unaccounted)
	got := t.awaitDelivery(ctx)
	for _, name := range names {
		part := float64(got.MessagesBy[name]) / float64(got.Messages)
		t.check(math.Abs(part-shares[name]) < 0.005, "split: %s got %.2f %% of %d messages, its share is %.0f %%", name, 100*part, got.Messages, 100*shares[name])
	}
	t.wholePackets(ctx, got)
}

// wholePackets compares the analyzers' own counters with the distributor's.
func (t *test) wholePackets(ctx context.Context, got totals) {
	for _, name := range names {
		c, err := read[analyzerStats](ctx, t.analyzer(name)+"/stats")
		t.check(err == nil && c.Packets == got.PacketsBy[name] && c.Messages == got.MessagesBy[name],
			"whole packets: %s counted %d packets with %d messages, the distributor %d with %d",
			name, c.Packets, c.Messages, got.PacketsBy[name], got.MessagesBy[name])
	}
}

// awaitDelivery waits until nothing is queued and returns the totals.
func (t *test) awaitDelivery(ctx context.Context) totals {
	var got totals
	err := until(ctx, "everything is delivered", func() bool {
		var err error
		got, err = read[totals](ctx, t.ingest()+"/metrics-json")
		return err == nil && got.Packets == got.Delivered
	})
	t.check(err == nil, "delivery: %d of %d accepted packets are delivered, %d messages unaccounted", got.Delivered, got.Packets, got.Unaccounted)
	return got
}

// analyzerKilled kills an analyzer under load.
func (t *test) analyzerKilled(ctx context.Context) {
	before := t.currentTotals(ctx)
	type result struct {
		report emitter.Report
		err    error
	}
	emitted := make(chan result, 1)
	go func() {
		report, err := t.emit(ctx, 2000, "1-100", t.load)
		emitted <- result{report, err}
	}()
	moving := until(ctx, "load arrives", func() bool { return t.currentTotals(ctx).Packets > before.Packets+500 })
	killed := time.Now()
	err := t.kill(ctx, "analyzer-1")
	detected := until(ctx, "two are healthy", func() bool { return t.currentTotals(ctx).Healthy == 2 })
	took := time.Since(killed)
	without := t.currentTotals(ctx)
	r := <-emitted
	t.check(moving == nil && err == nil && detected == nil, "analyzer-1 killed under load: healthy 3 → 2 after %v", took.Round(time.Millisecond))
	t.check(r.err == nil && r.report.Packets.Accepted == r.report.Packets.Generated && r.report.Retries.Total() == 0,
		"emitters were not affected: %d packets emitted, %d accepted, %d retries", r.report.Packets.Generated, r.report.Packets.Accepted, r.report.Retries.Total())
	t.awaitDelivery(ctx)
	after := t.currentTotals(ctx)
	t.splitWithoutFirst(without, after)
}

func (t *test) splitWithoutFirst(before, after totals) {
	part := make(map[string]float64)
	var sum float64
	for _, name := range names {
		part[name] = float64(after.MessagesBy[name] - before.MessagesBy[name])
		sum += max(part[name], 0)
	}
	two, three := part["analyzer-2"]/sum, part["analyzer-3"]/sum
	t.check(part["analyzer-1"] <= 0 && math.Abs(two-0.6) < 0.01 && math.Abs(three-0.4) < 0.01,
		"split of the others: analyzer-1 %+.0f messages, analyzer-2 %.1f %%, analyzer-3 %.1f %% of %.0f (0, 60 and 40 are wanted)",
		part["analyzer-1"], 100*two, 100*three, sum)
}

// analyzerRestarted restarts it under load and checks its slow start.
func (t *test) analyzerRestarted(ctx context.Context) {
	emitted := make(chan error, 1)
	loading, stop := context.WithCancel(ctx)
	go func() {
		_, err := t.emit(loading, 2000, "1-100", 0)
		emitted <- err
	}()
	before := t.currentTotals(ctx)
	err := t.start(ctx, "analyzer-1")
	recovered := until(ctx, "three are healthy", func() bool { return t.currentTotals(ctx).Healthy == 3 })
	t.check(err == nil && recovered == nil, "analyzer-1 started again: healthy 2 → 3")
	first := t.window(ctx, time.Second)
	t.check(first <= 0.55, "no flood at its restart: %.1f %% of the messages of its first second (its share is 50 %%)", 100*first)
	full := until(ctx, "its share is back", func() bool { return math.Abs(t.window(ctx, time.Second)-0.5) < 0.02 })
	again := t.window(ctx, 2*time.Second)
	t.check(full == nil, "analyzer-1 has its share again: %.1f %%", 100*again)
	stop()
	<-emitted
	after := t.awaitDelivery(ctx)
	t.check(after.Messages > before.Messages && after.Unaccounted == 0, "totals: %d messages accepted in all, %d unaccounted", after.Messages, after.Unaccounted)
}

// window returns analyzer-1's part of the messages of the next period.
func (t *test) window(ctx context.Context, length time.Duration) float64 {
	before := t.currentTotals(ctx)
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	after := t.currentTotals(ctx)
	var sum int64
	for _, name := range names {
		sum += after.MessagesBy[name] - before.MessagesBy[name]
	}
	return float64(after.MessagesBy["analyzer-1"]-before.MessagesBy["analyzer-1"]) / float64(max(sum, 1))
}

func (t *test) currentTotals(ctx context.Context) totals {
	got, _ := read[totals](ctx, t.ingest()+"/metrics-json")
	return got
}

const good = `{"emitter_id":"test","packet_id":"p","messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`

// refusals checks the response to each kind of bad request.
func (t *test) refusals(ctx context.Context) {
	for _, c := range []struct {
		what, method, path, kind, body string
		status                         int
		code                           string
	}{
		{"no JSON", "POST", "/ingest", "application/json", "{", 400, "malformed"},
		{"no messages", "POST", "/ingest", "application/json", `{"emitter_id":"e","packet_id":"p","messages":[]}`, 400, "invalid_packet"},
		{"a line that is no packet", "POST", "/ingest", "text/plain", "{", 400, "malformed"},
		{"another method", "GET", "/ingest", "", "", 405, "method_not_allowed"},
		{"another path", "GET", "/nothing", "", "", 404, "not_found"},
		{"a body that is too large", "POST", "/ingest", "application/json", strings.Repeat(" ", 11<<20), 413, "too_large"},
	} {
		a := request(ctx, c.method, t.ingest()+c.path, c.kind, c.body)
		t.check(a.status == c.status && a.problem.Code == c.code, "refusal of %s: %d %s", c.what, a.status, cmp.Or(a.problem.Code, a.body))
	}
	a := request(ctx, http.MethodPost, t.ingest()+"/ingest", "application/x-ndjson", good+"\n{\n")
	t.check(a.status == 207, "one good and one bad line: %d %s", a.status, a.body)
}

// noAnalyzers kills all analyzers and restarts them.
func (t *test) noAnalyzers(ctx context.Context) {
	for _, name := range names {
		if err := t.kill(ctx, name); err != nil {
			t.check(false, "kill %s: %v", name, err)
		}
	}
	unhealthy := until(ctx, "none is healthy", func() bool { return t.currentTotals(ctx).Healthy == 0 })
	start := time.Now()
	a := request(ctx, http.MethodPost, t.ingest()+"/ingest", "application/json", good)
	took := time.Since(start)
	t.check(unhealthy == nil && a.status == 503 && a.problem.Code == "no_analyzer" && a.header.Get("Retry-After") != "",
		"all analyzers gone: %d %s after %v, Retry-After %s", a.status, a.problem.Code, took.Round(time.Microsecond), a.header.Get("Retry-After"))
	for _, name := range names {
		if err := t.start(ctx, name); err != nil {
			t.check(false, "start %s: %v", name, err)
		}
	}
	recovered := until(ctx, "all are healthy", func() bool { return t.currentTotals(ctx).Healthy == 3 })
	a = request(ctx, http.MethodPost, t.ingest()+"/ingest", "application/json", good)
	t.check(recovered == nil && a.status == 202, "all recovered: %d %s", a.status, a.body)
}

// stop checks that a stop under load delivers everything accepted.
func (t *test) stop(ctx context.Context) {
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	emitted := make(chan emitter.Report, 1)
	go func() {
		report, _ := t.emit(loading, 2000, "5", 0)
		emitted <- report
	}()
	before := t.currentTotals(ctx)
	_ = until(ctx, "load arrives", func() bool { return t.currentTotals(ctx).Packets > before.Packets+1000 })
	analyzerStats := t.counts(ctx)
	err := t.stopDistributor(ctx)
	cancel()
	report := <-emitted
	received := t.counts(ctx) - analyzerStats
	t.check(err == nil, "stopped under load: the distributor ended with %v, having delivered all that it had accepted", exit(err))
	t.check(received > 0 && report.Packets.Accepted > 0, "the emitter counts %d packets accepted in all", report.Packets.Accepted)
}

func exit(err error) string {
	if err == nil {
		return "exit code 0"
	}
	return err.Error()
}

// counts sums the packets counted by all analyzers.
func (t *test) counts(ctx context.Context) int64 {
	var sum int64
	for _, name := range names {
		c, _ := read[analyzerStats](ctx, t.analyzer(name)+"/stats")
		sum += c.Packets
	}
	return sum
}
