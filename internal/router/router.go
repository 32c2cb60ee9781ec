// Package router fetches accepted packets from the journal, binds each to an
// analyzer and settles it exactly once:
//
//	journal ──Fetch──▶ pending ──Pick──▶ Offer ──▶ analyzer
//	   ▲                  ▲                           │
//	   └──Ack── Delivered, Rejected      Nacked ──────┘
//
// Packets with failed attempts wait in the retry queue; rejected packets whose
// dead letters could not be written wait in the dead-letter retry queue.
//
// A single goroutine routes, so that the fair-share table needs no lock and the
// statistics are exact. Analyzers settle packets from many goroutines.
package router

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Journal is the source of accepted packets and acknowledges settled ones.
type Journal interface {
	Fetch(dst []*packet.Packet, limit int) []*packet.Packet
	Ready() <-chan struct{}
	Ack(packets []*packet.Packet)
}

// Analyzer is a destination of packets; see upstream.Upstream.
type Analyzer interface {
	ID() string
	Capacity(now time.Time) (packets int, transient bool)
	BelowLowWatermark() bool
	Weight(now time.Time) float64
	Offer(packets []*packet.Packet)
	Tick()
	ProbeSoon(now time.Time)
}

// DeadLetters stores packets that an analyzer rejected. Add must not retain the
// packets. It returns the entries whose packets may be acknowledged, and those to
// retry because they could not be stored as safely as the journal stores packets.
type DeadLetters interface {
	Add(entries []deadletter.Entry) (done, retry []deadletter.Entry)
}

// maxRoundPackets is the maximum number of packets routed between updates of
// statistics and availability.
const maxRoundPackets = 256

// Router routes packets. It implements upstream.Settler.
type Router struct {
	journal     Journal
	deadLetters DeadLetters
	retryBudget *retrybudget.Budget
	strict      bool
	logger      *slog.Logger
	wake        chan struct{}
	// awaitingCapacity makes CapacityChanged wake the routing goroutine.
	awaitingCapacity atomic.Bool
	draining         atomic.Bool
	ledger           ledger
	drainRate        drainRate

	// The routing goroutine owns the fields below.
	table        *fairshare.Table
	members      []*member
	pending      []*packet.Packet // owned, oldest first
	capacity     int              // of all active members, in packets
	blocking     *member          // the member without capacity that pending waits for
	blockedSince time.Time        // start of the wait for blocking
	waitBudget   time.Duration    // for all members together

	running sync.WaitGroup
	cancel  context.CancelFunc
}

// Dependencies are the collaborators of a Router.
type Dependencies struct {
	Journal     Journal
	DeadLetters DeadLetters
	// RetryBudget limits retries.
	RetryBudget *retrybudget.Budget
	// Strict keeps to the weights even if an analyzer has no capacity for its
	// share: all packets then wait for it. Otherwise other analyzers take over.
	Strict bool
	Logger *slog.Logger
}

// New returns a router without members.
func New(deps Dependencies) *Router {
	return &Router{
		journal:     deps.Journal,
		deadLetters: deps.DeadLetters,
		retryBudget: deps.RetryBudget,
		strict:      deps.Strict,
		logger:      deps.Logger,
		wake:        make(chan struct{}, 1),
		waitBudget:  maxWaitBudget,
	}
}

// SetMembers sets the analyzers, by position, and their configured weights. It is
// called once, before Start.
func (r *Router) SetMembers(analyzers []Analyzer, weights []float64) error {
	table, err := fairshare.New(weights)
	if err != nil {
		return err
	}
	r.table = table
	ids := make([]string, len(analyzers))
	for i, a := range analyzers {
		ids[i] = a.ID()
		r.members = append(r.members, &member{
			Analyzer: a, waitBudget: maxWaitBudget,
		})
	}
	r.ledger.open(ids, weights)
	return nil
}

// Start starts the routing goroutine.
func (r *Router) Start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.running.Go(func() { r.run(ctx) })
}

// Drain announces that no new packets will arrive: it lifts the retry budget and
// shortens retry delays.
func (r *Router) Drain() {
	r.draining.Store(true)
	r.ledger.expedite()
	r.signal()
}

// Stop stops routing. Packets that are not bound remain unacknowledged.
func (r *Router) Stop() {
	if r.cancel != nil {
		r.cancel()
		r.running.Wait()
	}
}

func (r *Router) run(ctx context.Context) {
	ticker := time.NewTicker(upstream.TickInterval)
	defer ticker.Stop()
	r.tick(time.Now())
	for ctx.Err() == nil {
		if r.round(time.Now()) {
			select {
			case now := <-ticker.C:
				r.tick(now)
			default:
			}
			continue
		}
		if len(r.pending) > 0 && !r.awaitingCapacity.Swap(true) {
			continue // capacity may have changed before the flag was set
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-r.journal.Ready():
			// Yield to goroutines that are about to append, so that one
			// Fetch returns many packets.
			runtime.Gosched()
		case now := <-ticker.C:
			r.tick(now)
		}
		r.awaitingCapacity.Store(false)
	}
}

// round fetches and routes packets and reports whether it routed any.
func (r *Router) round(now time.Time) bool {
	r.refresh(now)
	if len(r.pending) < maxRoundPackets {
		r.fetch(now)
	}
	routed := 0
	for routed < len(r.pending) && r.route(r.pending[routed], now) {
		routed++
	}
	if routed == 0 {
		return false
	}
	r.pending = r.pending[:copy(r.pending, r.pending[routed:])]
	r.ledger.recordRound(r.members, r.table)
	for _, m := range r.members {
		if len(m.staged) > 0 {
			m.Offer(m.staged)
			m.staged = m.staged[:0]
		}
	}
	return true
}

// fetch appends packets to pending: requeued ones first, attempted packets within
// the retry budget, then new ones. The dead-letter retry queue has its own limit.
func (r *Router) fetch(now time.Time) {
	if r.table.ActiveCount() == 0 {
		return
	}
	before := len(r.pending)
	if ready := r.ledger.requeued(r.table.ActiveCount(), now); ready != (requeued{}) {
		granted := r.takeRetries(ready.attempted+ready.failed, now)
		ready.attempted = min(granted, ready.attempted)
		ready.failed = granted - ready.attempted
		r.pending = r.ledger.takeRequeued(r.pending, ready, now)
		r.refund(r.pending[before:])
	}
	// Packets without capacity stay in the journal and count against its limit;
	// one pending packet is enough to wait for capacity.
	limit := min(maxRoundPackets, max(1, r.capacity))
	if before = len(r.pending); before < limit {
		r.pending = r.journal.Fetch(r.pending, limit-before)
		r.ledger.claimed(packet.VolumeOf(r.pending[before:]))
		r.retryBudget.RecordFirst(len(r.pending)-before, now)
	}
}

// takeRetries returns how many packets the retry budget grants. It grants all
// while draining, when no new packets compete with retries.
func (r *Router) takeRetries(packets int, now time.Time) int {
	if r.draining.Load() {
		return packets
	}
	return r.retryBudget.Take(packets, now)
}

// refund refunds the charges for requeued packets. It skips members that left
// since the charge, because rejoining reset their deficit.
func (r *Router) refund(packets []*packet.Packet) {
	for _, p := range packets {
		if m := r.members[p.Analyzer]; m.epoch == p.Epoch && r.table.Active(p.Analyzer) {
			r.table.Refund(p.Analyzer, p.Messages)
		}
	}
}

// route stages a packet for the member that the table picks. It reports false if
// the packet has to wait.
func (r *Router) route(p *packet.Packet, now time.Time) bool {
	if r.blocking != nil {
		r.chargeWait(now)
	}
	for {
		i, ok := r.table.Pick(p.Messages, p.Analyzer)
		if !ok {
			return false
		}
		m := r.members[i]
		if m.capacity > 0 {
			m.stage(p)
			return true
		}
		r.table.Refund(i, p.Messages)
		if r.await(m, now) {
			return false
		}
		m.ejected = true
		r.table.Leave(i)
	}
}

// refresh updates capacities and which members are active.
func (r *Router) refresh(now time.Time) {
	r.capacity = 0
	for i, m := range r.members {
		var transient bool
		m.capacity, transient = m.Capacity(now)
		if m.ejected && (!transient || m.BelowLowWatermark()) {
			m.ejected = false
		}
		if (m.capacity > 0 || transient) && !m.ejected {
			if !r.table.Active(i) {
				r.updateWeight(i, now) // in slow start it must not join at its full weight
				r.table.Join(i)
				m.epoch++
			}
			r.capacity += m.capacity
		} else {
			r.table.Leave(i)
		}
	}
}

// tick is called every upstream.TickInterval.
func (r *Router) tick(now time.Time) {
	for i, m := range r.members {
		m.Tick()
		r.updateWeight(i, now)
	}
	r.refillWaitBudgets()
	r.refresh(now)
	if r.table.ActiveCount() == 0 {
		for _, m := range r.members {
			m.ProbeSoon(now)
		}
	}
	r.ledger.recordRound(r.members, r.table)
	r.drainRate.sample(r.ledger.settledPackets(), len(r.pending) > 0)
}

func (r *Router) updateWeight(i int, now time.Time) {
	r.table.SetWeight(i, r.members[i].Weight(now))
}

// member is an analyzer with the state that the routing goroutine keeps for it.
type member struct {
	Analyzer
	capacity   int              // in packets
	staged     []*packet.Packet // picked in this round
	waitBudget time.Duration
	// ejected: its wait budget was used up, and it has not reached the low
	// watermark since.
	ejected bool
	epoch   uint32 // counts joins
}

func (m *member) stage(p *packet.Packet) {
	m.capacity--
	p.Epoch = m.epoch
	m.staged = append(m.staged, p)
}
