package distributor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/native"
	"github.com/logstreamer/logstreamer/internal/upstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// transitions is the log of a watcher.
type transitions struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *transitions) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(line)
}

func (e *transitions) lines() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Split(strings.TrimSpace(e.text.String()), "\n")
}

// watch gives a distributor an analyzer of which only the health matters, and watches its state
// until the test ends.
func watch(t *testing.T, d *Distributor, healthy bool) *transitions {
	t.Helper()
	one, log := newAnalyzer(t, "one"), new(transitions)
	d.analyzers.Store(&analyzerSet{present: []running{{Upstream: one, target: Target{ID: "one", State: StateReady}}}})
	d.logger, d.credentials = slog.New(slog.NewTextHandler(log, nil)), new(credentials)
	d.watcher = newWatcher(d)
	watching, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	t.Cleanup(func() {
		stop()
		ended.Wait()
		one.Stop()
	})
	if healthy {
		one.Start(t.Context())
	}
	ended.Go(func() { d.watcher.run(watching) })
	return log
}

// newAnalyzer returns an analyzer that is healthy once it is started.
func newAnalyzer(t *testing.T, id string) *upstream.Upstream {
	t.Helper()
	metrics, err := upstream.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config := upstream.DefaultConfig()
	config.ID = id
	endpoint, err := sink.ParseURL("http://" + id)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	return upstream.New(config, upstream.Dependencies{Sink: native.New(endpoint.Base, dialHealthy, nil, logger), Logger: logger, Metrics: metrics, Settler: noSettler{}})
}

// noSettler is a settler of an analyzer that gets no packets.
type noSettler struct{ upstream.Settler }

func (noSettler) CapacityChanged() {}

// dialHealthy connects to an analyzer that answers its probes.
func dialHealthy(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			_, _ = far.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		}
	}()
	return near, nil
}

// The next probe is that under way, whichever analyzer comes first.
func TestNextProbe(t *testing.T) {
	var present []running
	for _, id := range []string{"open", "probing", "later"} {
		one := running{Upstream: newAnalyzer(t, id), target: Target{ID: id, State: StateReady}}
		t.Cleanup(one.Stop)
		present = append(present, one)
	}
	soon := time.Now().Add(time.Hour)
	present[0].OpenBreaker(soon)
	present[2].OpenBreaker(soon.Add(time.Hour))
	d := new(Distributor)
	for range present {
		d.analyzers.Store(&analyzerSet{present: present})
		if got := d.nextProbe(); !got.IsZero() {
			t.Errorf("the next probe is at %v, although the first one of an analyzer is under way", got)
		}
		present = append(slices.Clone(present[1:]), present[0])
	}
	d.analyzers.Store(&analyzerSet{present: slices.DeleteFunc(present, func(a running) bool { return a.ID() == "probing" })})
	if got := d.nextProbe(); !got.Equal(soon) {
		t.Errorf("the next probe is at %v, want %v", got, soon)
	}
}

// overload is a group of emitters that exceed the delivery rate.
type overload struct {
	emitters, queue, capacity int
	offered                   float64 // packets per second
}

// play sends for a time. Emitters retry after Retry-After and a random
// delay.
func (o overload) play(t *testing.T, d *Distributor, lasts time.Duration) {
	end := time.Now().Add(lasts)
	var sending sync.WaitGroup
	for e := range o.emitters {
		sending.Go(func() {
			random := rand.New(rand.NewPCG(uint64(e), 1))
			each := time.Duration(float64(o.emitters) / o.offered * float64(time.Second))
			due := time.Now().Add(time.Duration(random.Int64N(int64(each))))
			for n := 0; due.Before(end); n++ {
				time.Sleep(time.Until(due))
				for ceiling := 50 * time.Millisecond; time.Now().Before(end); ceiling = min(2*ceiling, cooldown) {
					wait, ok := post(t, d.protocol, fmt.Sprint(e), fmt.Sprint(n))
					if ok {
						break
					}
					time.Sleep(wait + time.Duration(random.Int64N(int64(ceiling))))
				}
				if due = due.Add(each); due.Before(time.Now()) {
					due = time.Now()
				}
			}
		})
	}
	sending.Wait()
}

// A steady overload is one state, whether emitters retry in bursts or evenly.
func TestSteadyOverloadIsOneState(t *testing.T) {
	for _, o := range []overload{
		{emitters: 30, queue: 200, capacity: 100, offered: 110},
		{emitters: 10, queue: 1000, capacity: 100, offered: 130},
		{emitters: 100, queue: 1000, capacity: 100, offered: 300},
		{emitters: 100, queue: 10_000, capacity: 200, offered: 300},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := steadySystem(t, inMemory(o.queue), o.capacity)
				log := watch(t, d, true)
				o.play(t, d, 5*time.Minute)
				if lines := log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "state=saturated") {
					t.Errorf("while it lasts:\n%s", strings.Join(lines, "\n"))
				}
				time.Sleep(maxQuiet + stateInterval)
				if lines := log.lines(); len(lines) != 2 || !strings.Contains(lines[1], "state=normal") {
					t.Errorf("in the end:\n%s", strings.Join(lines, "\n"))
				}
			})
		})
	}
}

// failingJournal is a journal with an injected write error.
type failingJournal struct {
	journal.Journal
	failure atomic.Pointer[error]
}

func (j *failingJournal) fail(cause error) {
	failure := fmt.Errorf("%w: %w", journal.ErrUnwritable, cause)
	j.failure.Store(&failure)
}

func (j *failingJournal) Append(packets []*packet.Packet) (int, error) {
	if failure := j.failure.Load(); failure != nil {
		return 0, *failure
	}
	return j.Journal.Append(packets)
}

func (j *failingJournal) CheckCapacity(bytes int) error {
	if failure := j.failure.Load(); failure != nil {
		return *failure
	}
	return j.Journal.CheckCapacity(bytes)
}

// wantCondition checks /health and /readyz.
func wantCondition(t *testing.T, d *Distributor, state state, reason string) {
	t.Helper()
	time.Sleep(2 * stateInterval)
	var health struct{ State, Reason string }
	var response http1.Response
	d.health(&response)
	if err := json.Unmarshal(response.Body, &health); err != nil || health.State != state.String() || health.Reason != reason {
		t.Errorf("/health says %v %+v, want %v: %s", err, health, state, reason)
	}
	d.ready(&response)
	if body := string(response.Body); response.Status == 200 && state != stateNormal && !strings.Contains(body, reason) {
		t.Errorf("/readyz says %s, want %s", body, reason)
	}
}

// While the journal is unwritable, and until the refused emitters may have retried, the state is
// saturated with the error as its reason.
func TestStateWhileUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &failingJournal{Journal: inMemory(100)}
		d := steadySystem(t, j, 0)
		log := watch(t, d, true)
		for n := range steadyQueue + 50 { // the utilization does not indicate an unwritable journal
			post(t, d.protocol, "e", fmt.Sprint(n))
			synctest.Wait()
		}
		const well = "all analyzers are healthy"
		wantCondition(t, d, stateNormal, well)
		const failing = "packets are refused: the journal cannot be written: no space left on device"
		j.fail(syscall.ENOSPC)
		wantCondition(t, d, stateSaturated, failing) // before the next Append
		time.Sleep(time.Hour)
		wait, _ := post(t, d.protocol, "e", "late")
		wantCondition(t, d, stateSaturated, failing)
		j.failure.Store(nil)
		const healed = "packets were refused %v ago, when the journal was unwritable: emitters are to send them again"
		time.Sleep(wait)
		wantCondition(t, d, stateSaturated, fmt.Sprintf(healed, wait))
		time.Sleep(cooldown - time.Second)
		wantCondition(t, d, stateSaturated, fmt.Sprintf(healed, wait+cooldown-time.Second))
		time.Sleep(time.Second)
		wantCondition(t, d, stateNormal, well)
		if lines := log.lines(); len(lines) != 2 {
			t.Errorf("%s", strings.Join(lines, "\n"))
		}

		j.fail(syscall.EIO) // for less than a sampling interval
		post(t, d.protocol, "e", "later")
		j.failure.Store(nil)
		wantCondition(t, d, stateSaturated, fmt.Sprintf(healed, 0*time.Second))
	})
}

// While no analyzer is healthy a disk journal stores packets up to its capacity.
func TestStateWithoutAnalyzers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := steadySystem(t, inMemory(2), 0)
		watch(t, d, false)
		wantCondition(t, d, statePanic, "no analyzer is healthy (one): nothing is accepted until one is")
	})
	synctest.Test(t, func(t *testing.T) {
		d := steadySystem(t, inMemory(2), 0)
		d.stores = true
		watch(t, d, false)
		const stored, full = "no analyzer is healthy (one): packets are stored until one is", "100 % of INGEST_BUFFER_SIZE is in use"
		wantCondition(t, d, statePanic, stored)
		for n, ok := 0, true; ok; n++ {
			_, ok = post(t, d.protocol, "e", fmt.Sprint(n))
			synctest.Wait()
		}
		wantCondition(t, d, statePanic, "no analyzer is healthy (one), and packets are refused for lack of capacity: "+full)
		time.Sleep(10 * time.Second)
		wantCondition(t, d, statePanic, "no analyzer is healthy (one), and packets were refused for lack of capacity 10s ago, and emitters are to send them again: "+full)
		time.Sleep(maxQuiet)
		wantCondition(t, d, statePanic, stored)
	})
}

// An analyzer that answers probes and fails with packets is one outage: while its breaker is half-open,
// the state stays degraded, with why the breaker opened.
func TestStateWhileAnalyzerIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := steadySystem(t, inMemory(2), 0)
		log := watch(t, d, true)
		one := d.present()[0].Upstream
		two := running{Upstream: newAnalyzer(t, "two"), target: Target{ID: "two", State: StateReady}}
		two.Start(t.Context())
		t.Cleanup(two.Stop)
		three := running{Upstream: newAnalyzer(t, "three"), target: Target{ID: "three", State: StateMaint}}
		d.analyzers.Store(&analyzerSet{present: []running{{Upstream: one, target: Target{ID: "one", State: StateReady}}, two, three}})
		wantCondition(t, d, stateNormal, "operators took out three (maint)")
		const ready = "# HELP distributor_analyzer_ready 1 while the analyzer is in state ready, 0 while it is drained or in maintenance.\n# TYPE distributor_analyzer_ready gauge\n"
		if err := testutil.CollectAndCompare(readyCollector{d}, strings.NewReader(ready+"distributor_analyzer_ready{analyzer=\"one\"} 1\ndistributor_analyzer_ready{analyzer=\"three\"} 0\ndistributor_analyzer_ready{analyzer=\"two\"} 1\n")); err != nil {
			t.Error(err)
		}
		one.OpenBreaker(time.Now().Add(time.Second))
		wantCondition(t, d, stateDegraded, "1 of 2 analyzers are unhealthy, the others take their share: one (an operator asked for it); operators took out three (maint)")
		time.Sleep(time.Minute)
		const tried = "1 of 2 analyzers failed and are tried with a few packets: one (an operator asked for it); operators took out three (maint)"
		wantCondition(t, d, stateDegraded, tried)
		if lines := log.lines(); len(lines) != 1 {
			t.Errorf("%s", strings.Join(lines, "\n"))
		}
		for n, ok := 0, true; ok; n++ {
			_, ok = post(t, d.protocol, "e", fmt.Sprint(n))
			synctest.Wait()
		}
		wantCondition(t, d, stateSaturated, "packets are refused for lack of capacity: 100 % of INGEST_BUFFER_SIZE is in use; "+tried)
	})
}

func TestSummarizeOutages(t *testing.T) {
	const refused = "connection refused"
	for want, outages := range map[string][]lacking{
		"a":                                    {{"a", ""}},
		"a (connection refused)":               {{"a", refused}},
		"a, b (each: connection refused)":      {{"a", refused}, {"b", refused}},
		"a (connection refused), b (drain), c": {{"a", refused}, {"b", "drain"}, {"c", ""}},
		"a, b, c, d, e and 1 more":             {{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}, {"f", ""}},
	} {
		if got := summarize(outages); got != want {
			t.Errorf("%v: %q, want %q", outages, got, want)
		}
	}
}
