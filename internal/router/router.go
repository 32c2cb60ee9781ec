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
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Journal is the source of accepted packets and acknowledges settled ones.
type Journal interface {
	Fetch(ctx context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error)
	Ready() <-chan struct{}
	Ack(packets []*packet.Packet)
	Nak(packets []*packet.Packet)
}

// DeadLetters stores packets that an analyzer rejected. Add must not retain the
// packets. It reports, for each entry, whether the packet may be acknowledged; if not,
// it could not be stored as safely as the journal stores packets.
type DeadLetters interface {
	Add(entries []deadletter.Entry) (stored []bool)
}

// maxRoundPackets is the maximum number of packets routed between updates of
// statistics and availability.
const maxRoundPackets = 256

// Router routes packets. It implements upstream.Settler.
type Router struct {
	journal     Journal
	deadLetters DeadLetters
	retryBudget *retrybudget.Budget
	logger      *slog.Logger
	wake        worker.Signal
	// awaitingCapacity makes CapacityChanged wake the routing goroutine.
	awaitingCapacity atomic.Bool
	draining         atomic.Bool
	distributors     atomic.Int64 // see SetDistributors
	accounting       accounting
	requeue          requeue
	drainRate        drainRate
	packets          sync.Pool // of *[]*packet.Packet, see ack
	recorder         *recorder // nil: picks are not recorded

	// The routing goroutine owns the fields below; see do.
	strict       bool // see Settings
	paused       bool // see Settings
	table        fairshare.Table
	members      []*member           // in the order in which they were added
	byIndex      []*member           // by index of the table
	byID         map[string]*member  // members by the analyzer's id
	epoch        uint32              // counts the joins of all members
	pending      []upstream.Delivery // owned, oldest first
	fetched      []*packet.Packet    // buffer of fetch
	fetchFailing bool                // the last Fetch returned an error
	capacity     int                 // of all active members, in packets
	blocking     *member             // the member without capacity that pending waits for
	blockedSince time.Time           // start of the wait for blocking
	waitBudget   time.Duration       // for all members together
	handBack     bool                // see Dependencies.HandBack
	idleSince    time.Time           // from when on nothing could be routed; zero while it can

	commands chan command
	mu       sync.Mutex    // guards running, and is held by commands while it is false
	running  bool          // the routing goroutine runs
	done     chan struct{} // closed when the routing goroutine ends
	cancel   context.CancelFunc
}

// Dependencies are the collaborators of a Router.
type Dependencies struct {
	Journal     Journal
	DeadLetters DeadLetters
	// RetryBudget limits retries.
	RetryBudget *retrybudget.Budget
	// HandBack returns packets to the journal when no member is active for long, or routing
	// is paused, so that others that share the journal can deliver them.
	HandBack bool
	// Record records picks, so that Explain and Trace can be called.
	Record bool
	Logger *slog.Logger
}

// New returns a router without members.
func New(deps Dependencies) *Router {
	r := &Router{
		journal:     deps.Journal,
		deadLetters: deps.DeadLetters,
		retryBudget: deps.RetryBudget,
		logger:      deps.Logger,
		wake:        worker.NewSignal(),
		waitBudget:  maxWaitBudget,
		handBack:    deps.HandBack,
		byID:        make(map[string]*member),
		commands:    make(chan command),
	}
	if deps.Record {
		r.recorder = newRecorder(&r.table, time.Now())
	}
	return r
}

// Start starts the routing goroutine.
func (r *Router) Start(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.running, r.done = true, make(chan struct{})
	go func() {
		r.run(ctx)
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
		close(r.done)
	}()
}

// Drain announces that no new packets will arrive: it lifts the retry budget and
// shortens retry delays.
func (r *Router) Drain() {
	r.draining.Store(true)
	r.requeue.expedite()
	r.wake.Notify()
}

// Resume revokes Drain.
func (r *Router) Resume() {
	r.draining.Store(false)
	r.requeue.restoreDelays()
}

// Stop stops routing.
func (r *Router) Stop() {
	if r.cancel != nil {
		r.cancel()
		<-r.done
	}
}

// Close returns the packets that are not bound to the journal. It must follow Stop and
// the end of all analyzers.
func (r *Router) Close() {
	left := append(r.pending, r.requeue.takeAll()...)
	r.returnToJournal(left)
	r.pending = nil
}

func (r *Router) returnToJournal(left []upstream.Delivery) {
	r.accounting.returned(left)
	r.journal.Nak(upstream.AppendPackets(nil, left))
}

// handBackAfter is for how long nothing may be routed before packets are handed back.
const handBackAfter = 10 * time.Second

// returnIdle hands packets back that no member can take.
func (r *Router) returnIdle(now time.Time) {
	if r.table.ActiveCount() > 0 && !r.paused {
		r.idleSince = time.Time{}
		return
	}
	if r.idleSince.IsZero() {
		r.idleSince = now
	}
	if !r.handBack || now.Sub(r.idleSince) < handBackAfter {
		return
	}
	requeued, lastQuarantined := r.requeue.takeForOthers(r.pending)
	r.reportSettled(lastQuarantined, false)
	if left := append(r.pending, requeued...); len(left) > 0 {
		r.returnToJournal(left)
		r.pending, r.blocking = nil, nil
	}
}

func (r *Router) run(ctx context.Context) {
	ticker := time.NewTicker(upstream.TickInterval)
	defer ticker.Stop()
	r.Tick(time.Now())
	for ctx.Err() == nil {
		if r.Round(ctx, time.Now()) {
			select {
			case now := <-ticker.C:
				r.Tick(now)
			case c := <-r.commands:
				c.execute()
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
			r.Tick(now)
		case c := <-r.commands:
			c.execute()
		}
		r.awaitingCapacity.Store(false)
	}
}

// Round fetches and routes packets, and reports whether it routed any. Round and Tick let a
// simulation with a clock of its own drive a router that is not started, from one goroutine.
func (r *Router) Round(ctx context.Context, now time.Time) bool {
	r.refresh(now)
	if r.paused {
		return false
	}
	if len(r.pending) < maxRoundPackets {
		r.fetch(ctx, now)
	}
	routed := r.routePending(now)
	if routed == 0 {
		return false
	}
	left := copy(r.pending, r.pending[routed:])
	clear(r.pending[left:])
	r.pending = r.pending[:left]
	r.accounting.recordRound(r.members, &r.table)
	for _, m := range r.members {
		if len(m.staged) > 0 {
			m.Offer(m.staged)
			clear(m.staged)
			m.staged = m.staged[:0]
		}
	}
	return true
}

// fetch appends packets to pending: requeued ones first, attempted packets within
// the retry budget, then new ones. The dead-letter retry queue has its own limit.
func (r *Router) fetch(ctx context.Context, now time.Time) {
	if r.table.ActiveCount() == 0 {
		return
	}
	before := len(r.pending)
	if ready := r.requeue.count(r.table.ActiveCount(), now); ready != (requeued{}) {
		granted := r.takeRetries(ready.attempted+ready.failed, now)
		ready.attempted = min(granted, ready.attempted)
		ready.failed = granted - ready.attempted
		r.pending = r.requeue.take(r.pending, ready, now)
		r.refund(r.pending[before:], now)
	}
	// Packets without capacity stay in the journal and count against its limit;
	// one pending packet is enough to wait for capacity.
	limit := min(maxRoundPackets, max(1, r.capacity))
	if before = len(r.pending); before < limit {
		r.fetchNew(ctx, limit-before)
		r.retryBudget.RecordFirst(len(r.pending)-before, now)
	}
}

// fetchNew appends packets that were not routed before.
func (r *Router) fetchNew(ctx context.Context, limit int) {
	var err error
	r.fetched, err = r.journal.Fetch(ctx, r.fetched[:0], limit)
	switch failing := err != nil; {
	case failing && !r.fetchFailing:
		r.logger.Error("packets cannot be fetched from the journal", "error", err)
	case !failing && r.fetchFailing:
		r.logger.Info("packets can be fetched from the journal again")
	}
	r.fetchFailing = err != nil
	var volume packet.Volume
	for _, p := range r.fetched {
		volume.Add(p)
		r.pending = append(r.pending, upstream.Delivery{Packet: p})
	}
	r.accounting.fetched(volume)
	clear(r.fetched)
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
func (r *Router) refund(deliveries []upstream.Delivery, now time.Time) {
	for i := range deliveries {
		d := &deliveries[i]
		if m := r.byID[d.Analyzer]; m != nil && m.epoch == d.Epoch && r.table.Active(m.index) {
			r.table.Refund(m.index, d.Packet.Messages)
			r.recordRefund(m, d, now)
		}
	}
}

// routePending stages pending packets until one has to wait, and returns their number.
func (r *Router) routePending(now time.Time) (routed int) {
	if r.recorder != nil {
		return r.routeRecorded(now)
	}
	for routed < len(r.pending) && r.route(&r.pending[routed], now) != nil {
		routed++
	}
	return routed
}

// avoided returns the index of the member that returned a packet, or -1.
func (r *Router) avoided(d *upstream.Delivery) int {
	if d.Analyzer != "" {
		if m := r.byID[d.Analyzer]; m != nil {
			return m.index
		}
	}
	return -1
}

// route stages a packet for the member that the table picks and returns it. It returns
// nil if the packet has to wait.
func (r *Router) route(d *upstream.Delivery, now time.Time) *member {
	if r.blocking != nil {
		r.chargeWait(now)
	}
	avoid := r.avoided(d)
	for {
		i, ok := r.table.Pick(d.Packet.Messages, avoid)
		if !ok {
			return nil
		}
		m := r.byIndex[i]
		if m.capacity > 0 {
			m.stage(d)
			return m
		}
		r.table.Refund(i, d.Packet.Messages)
		r.recordFull(m, d, avoid, now)
		if r.await(m, now) {
			return nil
		}
		m.ejected = true
		r.exclude(m, now)
	}
}

// refresh updates capacities and which members are active.
func (r *Router) refresh(now time.Time) {
	r.capacity = 0
	for _, m := range r.members {
		var transient bool
		m.capacity, transient = m.Capacity(now)
		if m.ejected && (!transient || m.BelowLowWatermark()) {
			m.ejected = false
		}
		if m.out != 0 || m.ejected || m.capacity == 0 && !transient {
			r.exclude(m, now)
			continue
		}
		if !r.table.Active(m.index) {
			r.updateWeight(m, now) // in slow start it must not join at its full weight
			r.table.Join(m.index)
			r.epoch++
			m.epoch = r.epoch
			r.recordJoin(m, now)
		}
		r.capacity += m.capacity
	}
	r.recordCapacities(now)
}

// exclude makes a member inactive.
func (r *Router) exclude(m *member, now time.Time) {
	left := r.table.Active(m.index)
	r.table.Leave(m.index)
	r.recordLeave(m, left, now)
}

// Tick does what is due every upstream.TickInterval. See Round.
func (r *Router) Tick(now time.Time) {
	for _, m := range r.members {
		m.Tick()
		r.updateWeight(m, now)
	}
	r.refillWaitBudgets()
	r.refresh(now)
	r.returnIdle(now)
	if r.table.ActiveCount() == 0 {
		for _, m := range r.members {
			m.ProbeSoon(now)
		}
	}
	r.recordTick(now)
	r.accounting.recordRound(r.members, &r.table)
	r.drainRate.sample(r.accounting.settled.Load(), len(r.pending) > 0)
}

func (r *Router) updateWeight(m *member, now time.Time) {
	ramp := m.Ramp(now)
	r.table.SetWeight(m.index, m.weight*ramp)
	r.recordWeight(m, ramp, now)
}
