// Package journal is the one place where accepted, undelivered packets live.
// Its implementations (memory, disk) differ in what they survive; what callers
// may rely on is here, and journaltest holds every implementation to it.
//
// A packet goes through a journal once:
//
//	Put ──▶ queued ──Claim──▶ claimed ──Ack──▶ gone
//
// Put makes the journal its owner, Claim makes the caller its owner, Ack ends
// it. A claimed packet stays on the journal's books until it is acknowledged.
package journal

import (
	"errors"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Journal keeps accepted packets until they are delivered. All methods may be
// called concurrently, except that only one goroutine may call Claim.
type Journal interface {
	// Put takes packets in order, as many as there is room for, and returns
	// how many it took: those are now the journal's, as safe as it promises.
	// The error says why the rest was not taken (ErrFull, ErrUnwritable,
	// ErrClosed); it is nil when all were. Put may wait for stable storage but
	// never for room.
	Put(packets []*packet.Packet) (taken int, err error)
	// Submit is Put that does not wait: when pending is true, w is told later,
	// once, whether the taken packets are stored; the slice is the journal's
	// until then. Otherwise they are as safe as they will be.
	Submit(packets []*packet.Packet, w Waiter) (taken int, pending bool, err error)
	// Room returns nil when a packet of that many bytes would find room now,
	// and otherwise the error that Put would return. It never waits.
	Room(bytes int) error
	// Claim appends up to limit queued packets to dst, oldest first, without
	// waiting, and makes the caller their owner. While packets are read back
	// from disk, they and fresh ones take turns, each oldest first.
	Claim(dst []*packet.Packet, limit int) []*packet.Packet
	// Arrived receives a value after queued packets became available to a
	// Claim that could have found none.
	Arrived() <-chan struct{}
	// Ack ends claimed packets, in any order: they were delivered, or set
	// aside as dead letters. It releases them.
	Ack(packets []*packet.Packet)
	// Fullness returns the part of the room that is in use, 0 to 1. It never
	// waits.
	Fullness() float64
	// Stats returns the journal's books at one moment.
	Stats() Stats
	// Close stops taking packets and returns when nothing more will be
	// written. What is neither delivered nor on stable storage is lost then;
	// Stats still tells how much that is.
	Close() error
}

// Waiter waits for packets to be stored.
type Waiter interface {
	// Stored says that the packets of one Submit are the journal's now, or why
	// none of them is. It must neither block nor call the journal.
	Stored(err error)
}

// Stats are a journal's books at one moment: Accepted is the sum of Queued,
// Claimed and Acknowledged.
type Stats struct {
	Accepted     packet.Volume // taken by Put, since the start (and found at the start)
	Queued       packet.Volume // not claimed yet
	Claimed      packet.Volume // claimed and not acknowledged yet
	Acknowledged packet.Volume
	// Damaged is the part of Acknowledged that ended because it could not be
	// read back from disk: set aside, counted and logged, not delivered.
	Damaged     packet.Volume
	MemoryBytes int64 // memory that packets hold
}

// The reasons why a packet is not taken.
var (
	ErrFull       = errors.New("the queue is full")
	ErrUnwritable = errors.New("the journal cannot be written")
	ErrClosed     = errors.New("the journal is closed")
)
