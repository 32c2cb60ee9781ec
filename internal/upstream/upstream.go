// Package upstream manages the delivery of packets to one analyzer: its capacity
// (Capacity), the queue of packets bound to it, the senders that deliver them, and the
// health probes and circuit breaker. How to talk to the analyzer is known to its sink.
//
//	Offer ──▶ queue ──▶ senders ──Send──▶ sink ──▶ analyzer
//	                      │
//	                      └──▶ Settler: Delivered │ Rejected │ Nacked
//
// Each packet that Offer accepts is settled exactly once. Packets are bound late: the
// queue holds about what the analyzer accepts in a second, so that few packets move
// when it fails. attribution.go decides whether a failure is caused by the analyzer or
// by a packet.
package upstream

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Rejection is a packet that the analyzer rejected permanently. Reason is one of
// RejectionReasons, Detail the response.
type Rejection struct {
	Delivery       Delivery
	Reason, Detail string
}

// reasonFailing is the reason of a packet that keeps failing at working analyzers.
const reasonFailing = "keeps_failing"

// RejectionReasons returns all values of Rejection.Reason.
func RejectionReasons() []string { return append(sink.Rejections(), reasonFailing) }

// Settler takes over the ownership of packets. Its methods must be safe for concurrent
// use and do not retain the slices. analyzer is an id. Only Rejected may block: it writes
// to disk.
type Settler interface {
	// Delivered is called with packets that the analyzer accepted.
	Delivered(analyzer string, deliveries []Delivery)
	// Rejected is called with packets that the analyzer rejected permanently.
	Rejected(analyzer string, rejections []Rejection)
	// Nacked is called with packets that are not known to be delivered and are to be
	// rerouted.
	Nacked(analyzer string, deliveries []Delivery)
	// CapacityChanged is called after each request and transition: the availability or the
	// capacity of the analyzer may have changed.
	CapacityChanged()
}

// Budget is a retry budget: TakeAll takes it for all of the packets, or for none.
type Budget interface {
	TakeAll(packets int, now time.Time) (granted bool)
}

// Upstream is one analyzer. It is safe for concurrent use, but only one goroutine may call
// Offer.
type Upstream struct {
	id      string
	config  atomic.Pointer[Config] // see Configure
	sink    sink.Sink
	settler Settler
	onOffer func([]Delivery)
	logger  *slog.Logger
	metrics *metrics

	breaker *breaker.Breaker
	budget  Budget
	queue   *queue
	limit   limit
	batch   batchSize
	pace    pace
	senders senders
	prober  *prober

	throttles throttles

	linger atomic.Int64 // nanoseconds; see SetLinger
	// probed is set once the first probe is complete, since the start or the last
	// maintenance.
	probed  atomic.Bool
	evicted atomic.Bool // see Evict
	// outage is why the breaker opened last, nil before that and once it has closed.
	outage atomic.Pointer[string]
	// unprobed means that no probes are sent; see SetProbing.
	unprobed atomic.Bool
	// The times below are nanoseconds since created (see elapsed), so that changes of the
	// wall clock have no effect; 0 means never.
	created       time.Time
	pausedUntil   atomic.Int64
	slowStartFrom atomic.Int64
	lastDelivered atomic.Int64

	// sending is the context of all requests since the last interrupt; nil before Start.
	sending   atomic.Pointer[sendingContext]
	running   sync.WaitGroup
	cancel    context.CancelFunc
	startOnce sync.Once
	stopOnce  sync.Once
}

// sendingContext is a context of requests and the function that interrupts them.
type sendingContext struct {
	context.Context
	parent context.Context
	cancel context.CancelFunc
}

func newSendingContext(parent context.Context) *sendingContext {
	ctx, cancel := context.WithCancel(parent)
	return &sendingContext{Context: ctx, parent: parent, cancel: cancel}
}

// Dependencies are what an Upstream uses.
type Dependencies struct {
	// Sink is the way to the analyzer. The Upstream is its only user.
	Sink    sink.Sink
	Settler Settler
	Logger  *slog.Logger
	// Metrics collects the metrics of all analyzers; see Metrics.Remove.
	Metrics *Metrics
	// Budget is the retry budget.
	Budget Budget
	// OnOffer, unless nil, is called by Offer with the packets, which it must not retain.
	OnOffer func(deliveries []Delivery)
}

// New returns an Upstream that is not started. The configuration must be valid.
func New(config Config, deps Dependencies) *Upstream {
	u := &Upstream{
		id:      config.ID,
		sink:    deps.Sink,
		settler: deps.Settler,
		onOffer: deps.OnOffer,
		logger:  deps.Logger.With("analyzer", config.ID),
		breaker: breaker.New(config.breaker()),
		queue:   newQueue(),
		budget:  deps.Budget,
		created: time.Now(),
	}
	u.config.Store(&config)
	u.limit.init(config)
	u.batch.packets.Store(initialBatchPackets)
	u.prober = newProber(u)
	u.senders.upstream = u
	u.senders.set(config.Concurrency)
	u.metrics = deps.Metrics.add(u)
	return u
}

// ID returns the analyzer's name.
func (u *Upstream) ID() string { return u.id }

// Start completes the first probe and then starts senders and probes.
func (u *Upstream) Start(ctx context.Context) {
	u.startOnce.Do(func() {
		work, cancel := context.WithCancel(context.WithoutCancel(ctx))
		u.cancel = cancel
		u.sending.Store(newSendingContext(work))
		if !u.unprobed.Load() {
			u.prober.probeFirst(work)
			u.setProbed()
		}
		u.running.Go(func() { u.prober.run(work) })
		u.senders.start()
	})
}

// Stop ends probes and senders. Waiting packets, and those of interrupted requests, are
// returned to the Settler.
func (u *Upstream) Stop() {
	u.stopOnce.Do(func() {
		u.senders.stop()
		u.queue.stop()
		if u.cancel != nil {
			u.cancel()
		}
		u.running.Wait()
		u.nack(u.queue.trim(0))
	})
}

// Offer binds packets to the analyzer; the caller must have checked Capacity. If the
// analyzer became unavailable since, the packets are returned to the Settler.
func (u *Upstream) Offer(deliveries []Delivery) {
	if u.onOffer != nil {
		u.onOffer(deliveries)
	}
	if !u.queue.offer(deliveries, u.limits()) {
		u.settler.Nacked(u.id, deliveries)
		return
	}
	if !u.accepting(time.Now()) {
		// The breaker may have opened, or a pause begun, after the Capacity check: the
		// packets must not wait for its end.
		u.nack(u.queue.trim(0))
	}
}

// SetLinger sets the minimum interval between the starts of requests to an analyzer that
// accepts batches, except for full batches and for packets whose emitters wait for the
// delivery. It may be called at any time; the default is 0.
func (u *Upstream) SetLinger(linger time.Duration) { u.linger.Store(int64(linger)) }

// Volumes returns a consistent snapshot of the waiting and the in-flight volume.
func (u *Upstream) Volumes() (queued, inFlight packet.Volume) { return u.queue.volumes() }

// Tick adapts the limit to the rate of the analyzer, and measures its pace. Callers call it
// every TickInterval.
func (u *Upstream) Tick() {
	u.pace.sample(time.Now(), u.queue.bound.Load(), int64(u.limit.now()))
	keep, excess := u.limit.adapt(u.queue.bound.Load(), u.config.Load())
	if excess {
		u.nack(u.queue.trim(keep))
	}
}

// limits lets full batches, and batches of half of the limit, skip the linger: waiting
// longer would not enlarge them.
func (u *Upstream) limits() batchLimits {
	accepts := u.sink.Capabilities()
	if accepts.MaxPackets == 1 {
		return batchLimits{packets: 1, flushSize: 1}
	}
	packets := min(int(u.batch.packets.Load()), accepts.MaxPackets)
	return batchLimits{packets: packets, traces: max(1, accepts.MaxTraces), flushSize: min(packets, u.limit.now()/2), linger: time.Duration(u.linger.Load())}
}

func (u *Upstream) nack(deliveries []Delivery) {
	if len(deliveries) > 0 {
		u.settler.Nacked(u.id, deliveries)
	}
}

// interrupt ends all requests in flight at once.
func (u *Upstream) interrupt() {
	last := u.sending.Load()
	if last == nil {
		return // not started
	}
	u.sending.Swap(newSendingContext(last.parent)).cancel()
}
