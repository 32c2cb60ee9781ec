// Package dispatch takes accepted packets from the journal, decides which
// analyzer each is bound to, and settles what becomes of it, exactly once:
//
//	journal ──Claim──▶ pending ──pick──▶ Offer ──▶ analyzer
//	   ▲                  ▲                           │
//	   └──Ack── Delivered, Refused     Returned ──────┘
//
// Packets with which analyzers failed wait in the ward until they go out again;
// those that were refused, and whose dead letters could not be written, among the
// unwritten.
//
// One goroutine routes; nothing else does. That is why the fair-share table
// needs no lock and why the books of who got what are exact. Analyzers settle
// from many goroutines.
package dispatch

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

// Journal is where accepted packets come from, and where they end.
type Journal interface {
	Claim(dst []*packet.Packet, limit int) []*packet.Packet
	Arrived() <-chan struct{}
	Ack(packets []*packet.Packet)
}

// Analyzer is what packets are bound to; see upstream.Upstream.
type Analyzer interface {
	ID() string
	Room(now time.Time) (packets int, brief bool)
	Resting() bool
	Weight(now time.Time) float64
	Offer(packets []*packet.Packet)
	Tick()
	Hasten(now time.Time)
}

// DeadLetters keeps packets that an analyzer refuses for good. Keep copies what
// it needs, and tells which packets may end, and which must not yet since their
// letters are not as safe as the journal's packets.
type DeadLetters interface {
	Keep(letters []deadletter.Letter) (ended, unwritten []deadletter.Letter)
}

// roundPackets bounds how many packets are routed before the books are
// written and availability is looked at again.
const roundPackets = 256

// Dispatcher routes packets. It implements upstream.Settler.
type Dispatcher struct {
	journal     Journal
	deadLetters DeadLetters
	budget      *retrybudget.Budget
	strict      bool
	logger      *slog.Logger
	wake        chan struct{}
	// hungry: packets wait for room, so that any room is to be told.
	hungry   atomic.Bool
	draining atomic.Bool
	ledger   ledger
	pace     pace

	// Below belongs to the routing goroutine.
	table     *fairshare.Table
	analyzers []*candidate
	pending   []*packet.Packet // owned, oldest first
	room      int              // packets that all who are in the running have room for
	blocked   *candidate       // whose lack of room holds up the pending
	since     time.Time        // when it was last looked at
	patience  time.Duration    // with all of them together

	running sync.WaitGroup
	cancel  context.CancelFunc
}

// Dependencies is what a Dispatcher is given.
type Dependencies struct {
	Journal     Journal
	DeadLetters DeadLetters
	// Budget bounds how many packets are sent again.
	Budget *retrybudget.Budget
	// Strict keeps to the weights even when an analyzer cannot take its share:
	// then all wait for it. Otherwise the others take over.
	Strict bool
	Logger *slog.Logger
}

// New returns a dispatcher without analyzers.
func New(deps Dependencies) *Dispatcher {
	return &Dispatcher{
		journal:     deps.Journal,
		deadLetters: deps.DeadLetters,
		budget:      deps.Budget,
		strict:      deps.Strict,
		logger:      deps.Logger,
		wake:        make(chan struct{}, 1),
		patience:    mostPatience,
	}
}

// Use sets the analyzers, in the order of their positions, with their
// configured weights. It is called once, before Start.
func (d *Dispatcher) Use(analyzers []Analyzer, weights []float64) error {
	table, err := fairshare.New(weights)
	if err != nil {
		return err
	}
	d.table = table
	ids := make([]string, len(analyzers))
	for i, a := range analyzers {
		ids[i] = a.ID()
		d.analyzers = append(d.analyzers, &candidate{
			Analyzer: a, patience: mostPatience,
		})
	}
	d.ledger.open(ids, weights)
	return nil
}

// Start starts routing.
func (d *Dispatcher) Start(ctx context.Context) {
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.running.Go(func() { d.run(ctx) })
}

// Drain tells that no new packets will come.
func (d *Dispatcher) Drain() {
	d.draining.Store(true)
	d.ledger.hurry()
	d.signal()
}

// Stop ends routing. What was not routed stays with the journal.
func (d *Dispatcher) Stop() {
	if d.cancel != nil {
		d.cancel()
		d.running.Wait()
	}
}

func (d *Dispatcher) run(ctx context.Context) {
	ticker := time.NewTicker(upstream.TickInterval)
	defer ticker.Stop()
	d.tick(time.Now())
	for ctx.Err() == nil {
		if d.round(time.Now()) {
			select {
			case now := <-ticker.C:
				d.tick(now)
			default:
			}
			continue
		}
		if len(d.pending) > 0 && !d.hungry.Swap(true) {
			continue // room may have come before anybody knew that it is wanted
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-d.journal.Arrived():
			// Let those that are about to put a packet do so first: one
			// look at the journal then finds many.
			runtime.Gosched()
		case now := <-ticker.C:
			d.tick(now)
		}
		d.hungry.Store(false)
	}
}

// round routes what it can of the packets at hand and reports whether it
// routed any.
func (d *Dispatcher) round(now time.Time) bool {
	d.refresh(now)
	if len(d.pending) < roundPackets {
		d.gather(now)
	}
	routed := 0
	for routed < len(d.pending) && d.route(d.pending[routed], now) {
		routed++
	}
	if routed == 0 {
		return false
	}
	d.pending = d.pending[:copy(d.pending, d.pending[routed:])]
	d.ledger.write(d.analyzers, d.table)
	for _, c := range d.analyzers {
		if len(c.staged) > 0 {
			c.Offer(c.staged)
			c.staged = c.staged[:0]
		}
	}
	return true
}

// gather takes packets to route: first those that came back, of those that may
// have been seen as many as the budget affords, then new ones. Those whose dead
// letters could not be written have a bound of their own.
func (d *Dispatcher) gather(now time.Time) {
	if d.table.ActiveCount() == 0 {
		return
	}
	before := len(d.pending)
	if back := d.ledger.comebacks(d.table.ActiveCount(), now); back != (comebacks{}) {
		affordable := d.affordable(back.tried+back.failed, now)
		back.tried = min(affordable, back.tried)
		back.failed = affordable - back.tried
		d.pending = d.ledger.takeReturned(d.pending, back, now)
		d.refund(d.pending[before:])
	}
	// What finds no room waits in the journal, whose room it takes: one packet
	// is enough to wait with.
	most := min(roundPackets, max(1, d.room))
	if before = len(d.pending); before < most {
		d.pending = d.journal.Claim(d.pending, most-before)
		d.ledger.claimed(packet.VolumeOf(d.pending[before:]))
		d.budget.RecordFirst(len(d.pending)-before, now)
	}
}

// affordable asks how many of the packets that were tried may go out again. At
// the end all may: nothing new can come that they would be in the way of.
func (d *Dispatcher) affordable(packets int, now time.Time) int {
	if d.draining.Load() {
		return packets
	}
	return d.budget.Take(packets, now)
}

// refund gives analyzers back what they were charged for packets that they did
// not take, as far as that is still on the table: who has left the running
// since began anew.
func (d *Dispatcher) refund(packets []*packet.Packet) {
	for _, p := range packets {
		if c := d.analyzers[p.Analyzer]; c.stay == p.Stay && d.table.Active(p.Analyzer) {
			d.table.Refund(p.Analyzer, p.Messages)
		}
	}
}

// route binds one packet to the analyzer whose turn it is. It reports false
// when the packet has to wait.
func (d *Dispatcher) route(p *packet.Packet, now time.Time) bool {
	if d.blocked != nil {
		d.waited(now)
	}
	for {
		i, ok := d.table.Pick(p.Messages, p.Analyzer)
		if !ok {
			return false
		}
		c := d.analyzers[i]
		if c.room > 0 {
			c.stage(p)
			return true
		}
		d.table.Refund(i, p.Messages)
		if d.await(c, now) {
			return false
		}
		c.sitsOut = true
		d.table.Leave(i)
	}
}

// refresh looks which analyzers can be given packets.
func (d *Dispatcher) refresh(now time.Time) {
	d.room = 0
	for i, c := range d.analyzers {
		var brief bool
		c.room, brief = c.Room(now)
		if c.sitsOut && (!brief || c.Resting()) {
			c.sitsOut = false
		}
		if (c.room > 0 || brief) && !c.sitsOut {
			if !d.table.Active(i) {
				d.weigh(i, now) // who returns slowly must not join at its full weight
				d.table.Join(i)
				c.stay++
			}
			d.room += c.room
		} else {
			d.table.Leave(i)
		}
	}
}

// tick does what is done at intervals.
func (d *Dispatcher) tick(now time.Time) {
	for i, c := range d.analyzers {
		c.Tick()
		d.weigh(i, now)
	}
	d.regainPatience()
	d.refresh(now)
	if d.table.ActiveCount() == 0 {
		for _, c := range d.analyzers {
			c.Hasten(now)
		}
	}
	d.ledger.write(d.analyzers, d.table)
	d.pace.measure(d.ledger.settledPackets(), len(d.pending) > 0)
}

// weigh brings the table's weight of an analyzer up to date.
func (d *Dispatcher) weigh(i int, now time.Time) {
	d.table.SetWeight(i, d.analyzers[i].Weight(now))
}

// candidate is an analyzer as the routing goroutine knows it.
type candidate struct {
	Analyzer
	room     int
	staged   []*packet.Packet // picked in this round
	patience time.Duration
	// sitsOut: it lacked room for too long, until it rests.
	sitsOut bool
	stay    uint32 // counts its stays in the running
}

func (c *candidate) stage(p *packet.Packet) {
	c.room--
	p.Stay = c.stay
	c.staged = append(c.staged, p)
}
