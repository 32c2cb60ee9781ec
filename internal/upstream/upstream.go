// Package upstream is one analyzer as the distributor sees it: whether it can
// be given packets now and how many (Capacity), the queue of packets that are bound
// to it, the senders that deliver them, and the probes and the breaker that
// judge its health.
//
//	Offer ──▶ queue ──▶ senders ──POST /ingest──▶ analyzer
//	                      │
//	                      └──▶ Settler: Delivered │ Rejected │ Nacked
//
// Each packet that Offer took is settled exactly once. It is bound late: the
// queue holds about what the analyzer takes in a second, so that little has to
// move when it fails. Whether a failure is the analyzer's or the packet's fault
// is told in blame.go.
package upstream

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Rejection is a packet that an analyzer rejected, for one of RefusalReasons;
// Detail is its response.
type Rejection struct {
	Packet         *packet.Packet
	Reason, Detail string
}

// Settler settles packets and becomes their owner. Senders call its methods
// concurrently. Only Rejected may block for long: it writes to disk.
type Settler interface {
	// Delivered settles packets that the analyzer accepted.
	Delivered(analyzer int, packets []*packet.Packet)
	// Rejected settles packets that the analyzer will never accept.
	Rejected(analyzer int, rejections []Rejection)
	// Nacked requeues packets that were, as far as is known, not delivered.
	Nacked(analyzer int, packets []*packet.Packet)
	// CapacityChanged reports that the analyzer's availability or capacity may
	// have changed. It is called after each request.
	CapacityChanged()
}

// Budget says whether some packets may be sent again now.
type Budget interface {
	TakeAll(packets int, now time.Time) (granted bool)
}

// Upstream is one analyzer. Its methods may be called concurrently, but only
// one goroutine may call Offer.
type Upstream struct {
	config   Config
	position int
	settler  Settler
	logger   *slog.Logger
	metrics  *metrics

	breaker *breaker.Breaker
	budget  Budget
	queue   *queue
	limit   limit
	batch   batchSize
	senders []*sender
	prober  *prober

	incarnation incarnation
	shortage    shortage
	// asked: the first probe is over.
	asked atomic.Bool
	// began is what the moments below are counted from (see counted), so that a clock
	// that is set changes nothing. They are 0 when there was none.
	began       time.Time
	pausedUntil atomic.Int64
	rampedUntil atomic.Int64
	latestTaken atomic.Int64 // when it took packets last

	running   sync.WaitGroup
	cancel    context.CancelFunc
	startOnce sync.Once
	stopOnce  sync.Once
}

// Dependencies is what an Upstream is given.
type Dependencies struct {
	// Position is the analyzer's index, which the Settler gets.
	Position int
	Settler  Settler
	Logger   *slog.Logger
	// Metrics holds the collectors of all analyzers.
	Metrics *Metrics
	// Budget bounds how many packets are sent again.
	Budget Budget
	// Dial opens connections; by default to any of a host's addresses.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns an analyzer that is not started. The configuration must be valid.
func New(config Config, deps Dependencies) (*Upstream, error) {
	base, err := config.base()
	if err != nil {
		return nil, err
	}
	u := &Upstream{
		config:   config,
		position: deps.Position,
		settler:  deps.Settler,
		logger:   deps.Logger.With("analyzer", config.ID),
		metrics:  deps.Metrics.of(config.ID),
		breaker:  breaker.New(config.breaker()),
		queue:    newQueue(),
		budget:   deps.Budget,
		began:    time.Now(),
	}
	u.shortage.logger = u.logger
	dial := u.watched(dialer(deps.dial(), address(base), secure(base)))
	u.limit.init(config)
	u.batch.packets.Store(firstBatchPackets)
	u.prober = newProber(u, newConnection(dial, &u.incarnation), newRequest(base, "/health"))
	u.incarnation.init(u.prober.reschedule)
	for range config.Concurrency {
		u.senders = append(u.senders, newSender(u, newConnection(dial, &u.incarnation), newRequest(base, "/ingest")))
	}
	return u, deps.Metrics.watch(u)
}

func (d Dependencies) dial() func(context.Context, string, string) (net.Conn, error) {
	if d.Dial != nil {
		return d.Dial
	}
	return (&addresses{lookup: net.DefaultResolver.LookupNetIP, dial: new(net.Dialer).DialContext}).open
}

// ID returns the analyzer's name.
func (u *Upstream) ID() string { return u.config.ID }

// Start asks the analyzer for its health once, waiting for the answer, and
// then starts the senders and the probes.
func (u *Upstream) Start(ctx context.Context) {
	u.startOnce.Do(func() {
		work, cancel := context.WithCancel(context.WithoutCancel(ctx))
		u.cancel = cancel
		u.prober.first(work)
		u.asked.Store(true)
		u.running.Go(func() { u.prober.run(work) })
		for _, s := range u.senders {
			u.running.Go(func() { s.run(work) })
		}
	})
}

// Stop ends the probes and the senders. What waits, and what cannot be
// finished at once, is returned to the Settler.
func (u *Upstream) Stop() {
	u.stopOnce.Do(func() {
		u.queue.stop()
		if u.cancel != nil {
			u.cancel()
		}
		u.prober.connection.interrupt()
		u.interrupt()
		u.running.Wait()
		u.release(u.queue.trim(0))
	})
}

// Offer binds packets to the analyzer; the caller asked Capacity first. When the
// analyzer became unavailable meanwhile they are returned to the Settler.
func (u *Upstream) Offer(packets []*packet.Packet) {
	if !u.queue.offer(packets, u.limits()) {
		u.settler.Nacked(u.position, packets)
		return
	}
	if !u.accepting(time.Now()) {
		// The breaker may have opened, or a pause begun, after Capacity was
		// asked: the packets must not wait behind it.
		u.release(u.queue.trim(0))
	}
}

// Volumes returns what waits and what is being sent, at one moment.
func (u *Upstream) Volumes() (queued, inFlight packet.Volume) { return u.queue.volumes() }

// Tick adapts how much may be bound to how fast the analyzer takes it. The
// caller calls it every TickInterval.
func (u *Upstream) Tick() {
	keep, tooMuch := u.limit.adapt(u.queue.bound.Load())
	if tooMuch {
		u.release(u.queue.trim(keep))
	}
}

// limits has a request begin at once when there is nothing to gain from a wait:
// the batch is whole, or so much is bound that there is soon no room for more.
func (u *Upstream) limits() batchLimits {
	if !u.incarnation.takesLines() {
		return batchLimits{packets: 1, enough: 1}
	}
	packets := int(u.batch.packets.Load())
	return batchLimits{packets: packets, enough: min(packets, u.limit.now()/2), spacing: u.config.Spacing}
}

func (u *Upstream) release(packets []*packet.Packet) {
	if len(packets) > 0 {
		u.settler.Nacked(u.position, packets)
	}
}

// interrupt makes all requests under way fail at once.
func (u *Upstream) interrupt() {
	for _, s := range u.senders {
		s.connection.interrupt()
	}
}
