package dispatch

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// Books is what the dispatcher knows at one moment.
type Books struct {
	Analyzers []Account
	// Waiting is what the dispatcher holds: claimed, or returned, and not
	// bound.
	Waiting packet.Volume
	// SetApart is how many packets keep failing at analyzers that take others; they
	// wait, or are being tried.
	SetApart int
	// Delivered and DeadLettered are how packets ended.
	Delivered, DeadLettered packet.Volume
	// BoundMessages is how far an analyzer's messages may be from its share.
	BoundMessages float64
}

// Account is one analyzer's page of the books.
type Account struct {
	ID string
	// Target is the configured share, Effective the one that is given now.
	Target, Effective float64
	// DeviationMessages is by how much it got less than its share (more, when
	// negative) since the analyzers in the running last changed.
	DeviationMessages float64
	// Routed counts every binding; Moved those that ended in another binding.
	Routed, Moved packet.Volume
}

// Held is what is or was last bound to the analyzer: each packet counts for
// one analyzer.
func (a Account) Held() packet.Volume { return a.Routed.Minus(a.Moved) }

// Reroute is a move of packets from one analyzer to another.
type Reroute struct{ From, To string }

// ledger keeps the books. The routing goroutine writes a round at a time, so
// that readers always see whole rounds; analyzers' senders add what they settle.
type ledger struct {
	settled atomic.Int64 // packets, for pace

	mu       sync.Mutex // guards all below
	books    Books
	reroutes map[Reroute]int64
	// Returned and not yet taken. To send again what an analyzer may have seen
	// is bounded by a budget; what only waited is free to go elsewhere.
	tried, untried ring.Queue[*packet.Packet]
	ward           ward
	unwritten      unwritten
}

func (l *ledger) open(ids []string, weights []float64) {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	for i, id := range ids {
		l.books.Analyzers = append(l.books.Analyzers, Account{ID: id, Target: weights[i] / sum})
	}
	l.reroutes = make(map[Reroute]int64)
}

// write records a round: what is staged becomes bound.
func (l *ledger) write(candidates []*candidate, table *fairshare.Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range candidates {
		account := &l.books.Analyzers[i]
		for _, p := range c.staged {
			l.bindLocked(p, i)
		}
		account.Effective = table.Share(i)
		account.DeviationMessages = table.Deficit(i)
	}
	l.books.BoundMessages = table.MaxDeviation()
}

func (l *ledger) bindLocked(p *packet.Packet, to int) {
	accounts := l.books.Analyzers
	accounts[to].Routed.Add(p)
	if from := p.Analyzer; from != packet.NoAnalyzer {
		accounts[from].Moved.Add(p)
		if from != to {
			l.reroutes[Reroute{accounts[from].ID, accounts[to].ID}]++
		}
	}
	p.Analyzer = to
	l.books.Waiting.Subtract(p)
}

func (l *ledger) claimed(volume packet.Volume) {
	if volume.Packets == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Waiting = l.books.Waiting.Plus(volume)
}

// delivered reports whether the last packet that kept failing has ended, and
// whether others that came back may go now because of it.
func (l *ledger) delivered(packets []*packet.Packet) (lastApart, freed bool) {
	volume := packet.VolumeOf(packets)
	l.settled.Add(volume.Packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Delivered = l.books.Delivered.Plus(volume)
	return l.endLocked(packets, true)
}

// deadLettered reports what delivered does.
func (l *ledger) deadLettered(packets []*packet.Packet) (lastApart, freed bool) {
	volume := packet.VolumeOf(packets)
	l.settled.Add(volume.Packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.DeadLettered = l.books.DeadLettered.Plus(volume)
	lastApart, freed = l.endLocked(packets, false)
	if volume.Packets > 0 && l.unwritten.resume() {
		freed = true
	}
	return lastApart, freed
}

func (l *ledger) endLocked(packets []*packet.Packet, taken bool) (lastApart, freed bool) {
	failed, unwritten := l.ward.out, l.unwritten.out
	if failed == 0 && unwritten == 0 {
		return false, false
	}
	for _, p := range packets {
		if p.Unwritten {
			l.unwritten.end()
		} else if l.ward.end(p, taken) {
			lastApart = true
		}
	}
	freed = l.ward.out < failed && len(l.ward.waiting) > 0 || l.unwritten.out < unwritten && l.unwritten.waiting.Len() > 0
	return lastApart, freed
}

// putOff takes back packets that would be dead letters if those could be written. It
// reports what delivered does.
func (l *ledger) putOff(packets []*packet.Packet, now time.Time) (lastApart, freed bool) {
	if len(packets) == 0 {
		return false, false
	}
	volume := packet.VolumeOf(packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Waiting = l.books.Waiting.Plus(volume)
	for _, p := range packets {
		if !p.Unwritten && l.ward.end(p, false) {
			lastApart = true
		}
		l.unwritten.put(p, now)
	}
	return lastApart, true
}

// returned describes the packet that keeps failing while no other does, if one
// of these is such.
func (l *ledger) returned(packets []*packet.Packet) (firstApart *keepsFailing) {
	volume := packet.VolumeOf(packets)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Waiting = l.books.Waiting.Plus(volume)
	for _, p := range packets {
		switch {
		case p.Trouble != nil:
			if p.Unwritten {
				l.unwritten.leave(p)
			}
			if l.ward.put(p) {
				firstApart = describePacket(p)
			}
		case p.Unwritten:
			l.unwritten.putBack(p)
		case p.Tried:
			l.tried.Push(p)
		default:
			l.untried.Push(p)
		}
	}
	return firstApart
}

// comebacks is how many packets were returned and wait.
type comebacks struct {
	untried, tried int
	failed         int // with which analyzers failed, and which may go now
	unwritten      int // whose dead letters could not be written, and which may go now
}

func (l *ledger) comebacks(analyzers int, now time.Time) comebacks {
	l.mu.Lock()
	defer l.mu.Unlock()
	return comebacks{
		untried: l.untried.Len(), tried: l.tried.Len(), failed: l.ward.ready(analyzers, now), unwritten: l.unwritten.ready(now),
	}
}

// takeReturned appends what was returned to dst: all that only waited, and so many
// of the others, in order.
func (l *ledger) takeReturned(dst []*packet.Packet, most comebacks, now time.Time) []*packet.Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.untried.Len() > 0 {
		dst = append(dst, l.untried.Pop())
	}
	for range min(most.tried, l.tried.Len()) {
		p := l.tried.Pop()
		p.Tried = false
		dst = append(dst, p)
	}
	dst = l.unwritten.take(dst, most.unwritten)
	return l.ward.take(dst, most.failed, now)
}

// hurry ends long waits.
func (l *ledger) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ward.hurry()
	l.unwritten.hurry()
}

func (l *ledger) settledPackets() int64 { return l.settled.Load() }

// read returns the books as of the last whole round.
func (l *ledger) read() Books {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.booksLocked()
}

// readAll returns the reroutes, too, of which there may be as many as pairs of analyzers.
func (l *ledger) readAll() (Books, map[Reroute]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.booksLocked(), maps.Clone(l.reroutes)
}

func (l *ledger) booksLocked() Books {
	books := l.books
	books.SetApart = l.ward.apart
	books.Analyzers = slices.Clone(l.books.Analyzers)
	return books
}

// Books returns the books as of the last whole round. It may be called
// concurrently.
func (d *Dispatcher) Books() Books { return d.ledger.read() }
