package distributor

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/server"
	"github.com/logstreamer/logstreamer/internal/upstream"
	"github.com/prometheus/client_golang/prometheus"
)

// steadyAnalyzer takes packets at a fixed rate.
type steadyAnalyzer struct {
	settler   *router.Router
	perSecond int

	mu    sync.Mutex // guards all below
	bound []upstream.Delivery
}

const steadyQueue = 100

func (a *steadyAnalyzer) ID() string             { return "steady" }
func (a *steadyAnalyzer) Ramp(time.Time) float64 { return 1 }
func (a *steadyAnalyzer) Tick()                  {}

func (a *steadyAnalyzer) Outage(time.Time) (upstream.Outage, time.Time) {
	return upstream.NoRoom, time.Time{}
}

func (a *steadyAnalyzer) ProbeSoon(time.Time) {}

func (a *steadyAnalyzer) BelowLowWatermark() bool {
	packets, _ := a.Capacity(time.Time{})
	return packets > steadyQueue/2
}

func (a *steadyAnalyzer) Capacity(time.Time) (packets int, transient bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return steadyQueue - len(a.bound), true
}

func (a *steadyAnalyzer) Offer(packets []upstream.Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bound = append(a.bound, packets...)
}

// work takes packets until done is closed.
func (a *steadyAnalyzer) work(done <-chan struct{}) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		n := min(len(a.bound), a.perSecond/100)
		taken := append([]upstream.Delivery(nil), a.bound[:n]...)
		a.bound = append(a.bound[:0], a.bound[n:]...)
		a.mu.Unlock()
		if n > 0 {
			a.settler.Delivered(a.ID(), taken)
			a.settler.CapacityChanged()
		}
	}
}

// burst is a burst of packets above the capacity of a distributor.
type burst struct {
	emitters, each  int
	queue, capacity int // packets, and packets per second
}

// steadySystem is a distributor without a network, in front of an analyzer that takes capacity
// packets per second. It ends with the test.
func steadySystem(t *testing.T, j journal.Journal, capacity int) *Distributor {
	d := &Distributor{
		journal: j, router: router.New(router.Dependencies{Journal: j, RetryBudget: &retrybudget.Budget{}}), registry: prometheus.NewRegistry(),
	}
	analyzer := &steadyAnalyzer{settler: d.router, perSecond: capacity}
	config := DefaultConfig()
	d.config.Store(&config)
	d.leases = discovery.NewLeases()
	d.analyzers.Store(new(analyzerSet))
	if err := d.router.Configure(router.Settings{Members: []router.Member{{Analyzer: analyzer, Weight: 1}}}); err != nil {
		t.Fatal(err)
	}
	d.intake = intake.New(intake.DefaultConfig(), intake.Dependencies{
		Logger: slog.New(slog.DiscardHandler), ProtocolReasons: native.Reasons(),
		Journal: j, Pool: &d.pool, Accepting: func() bool { return true }, RetryAfter: d.retryAfter,
	})
	var err error
	if d.protocol, err = native.New(native.DefaultConfig(), d.intake, nil, d.registry); err != nil {
		t.Fatal(err)
	}
	d.router.Start(t.Context())
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() { analyzer.work(done) })
	t.Cleanup(func() {
		close(done)
		working.Wait()
		d.router.Stop()
	})
	return d
}

func inMemory(packets int) journal.Journal {
	return memory.New(memory.Config{QueuePackets: packets, LimitBytes: 1 << 30})
}

// run returns the time to deliver all packets and the number of refusals. Emitters retry after
// Retry-After, or after a constant.
func (b burst) run(t *testing.T, constant time.Duration) (took time.Duration, refusals int64) {
	synctest.Test(t, func(t *testing.T) {
		d := steadySystem(t, inMemory(b.queue), b.capacity)

		time.Sleep(time.Minute) // idle time before the burst
		start := time.Now()
		var refused atomic.Int64
		var sending sync.WaitGroup
		for e := range b.emitters {
			sending.Go(func() {
				for n := range b.each {
					for {
						wait, ok := post(t, d.protocol, fmt.Sprint(e), fmt.Sprint(n))
						if ok {
							break
						}
						refused.Add(1)
						if constant > 0 {
							wait = constant
						}
						time.Sleep(wait)
					}
				}
			})
		}
		sending.Wait()
		for d.journal.Stats().Acknowledged.Packets < int64(b.emitters*b.each) {
			time.Sleep(10 * time.Millisecond)
		}
		took, refusals = time.Since(start), refused.Load()
	})
	return took, refusals
}

// post sends a packet without a network, and returns Retry-After if
// the packet was refused.
func post(t *testing.T, protocol *native.Protocol, emitter, id string) (wait time.Duration, accepted bool) {
	body := fmt.Sprintf(`{"emitter_id":"%s","packet_id":"%s","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, emitter, id)
	head := http1.Head{Method: []byte("POST"), Target: []byte("/ingest"), Length: int64(len(body))}
	var response http1.Response
	protocol.Handle(server.NewRequest(&head, strings.NewReader(body), netip.Addr{}, time.Now()), &response)
	if response.Status == http.StatusAccepted {
		return 0, true
	}
	if response.RetryAfter == 0 {
		t.Errorf("%d %s", response.Status, response.Body)
		return time.Hour, false
	}
	return time.Duration(response.RetryAfter) * time.Second, false
}

// median runs a burst several times and returns the medians, as the order of simultaneous emitters is
// random and determines the number of refusals; rare orders double it.
func (b burst) median(t *testing.T, constant time.Duration) (took time.Duration, refusals int64) {
	const runs = 5
	var times []time.Duration
	var counts []int64
	for range runs {
		took, refusals := b.run(t, constant)
		times, counts = append(times, took), append(counts, refusals)
	}
	slices.Sort(times)
	slices.Sort(counts)
	return times[runs/2], counts[runs/2]
}

// Emitters that honour Retry-After are refused far less often than those that retry each second,
// and finish as soon.
func TestRetryAfterReducesRefusals(t *testing.T) {
	for _, b := range []burst{
		{emitters: 100, each: 100, queue: 5000, capacity: 500},
		{emitters: 100, each: 50, queue: 2000, capacity: 100},
		{emitters: 1000, each: 10, queue: 2000, capacity: 200},
	} {
		took, refused := b.median(t, 0)
		constantTook, constantRefused := b.median(t, time.Second)
		t.Logf("%+v: %v and %d refusals, with 1s %v and %d", b, took, refused, constantTook, constantRefused)
		if took > constantTook+constantTook/20 || 2*refused > constantRefused {
			t.Errorf("%+v: obeying the estimate is not better", b)
		}
	}
}

// Emitters that honour Retry-After finish far sooner than those that wait for longer than the
// queue lasts, also in the first burst after an idle time.
func TestRetryAfterReducesDeliveryTime(t *testing.T) {
	b := burst{emitters: 100, each: 100, queue: 1000, capacity: 1000}
	took, refused := b.run(t, 0)
	constantTook, constantRefused := b.run(t, 5*time.Second)
	t.Logf("%+v: %v and %d refusals, with 5s %v and %d", b, took, refused, constantTook, constantRefused)
	if 2*took > constantTook {
		t.Errorf("obeying the estimate took %v, and %v with a constant", took, constantTook)
	}
}
