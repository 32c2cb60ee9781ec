// Package journal defines the store of accepted, undelivered packets. Its
// implementations (memory, disk, jetstream) differ in what they survive; the interface documents
// what callers may rely on, and journaltest tests every implementation against it.
//
// A packet passes through a journal once:
//
//	Append ──▶ queued ──Fetch──▶ claimed ──Ack──▶ gone
//	             ▲                  │
//	             └───────Nak────────┘
//
// Append makes the journal the packet's owner, Fetch the caller, Ack ends the packet and
// Nak returns it. A fetched packet counts as claimed until then. An implementation whose claims
// expire extends them.
package journal

import (
	"context"
	"errors"
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Journal stores accepted packets until they are delivered. All methods may be
// called concurrently, except that only one goroutine may call Fetch.
type Journal interface {
	// Append takes packets in order, as many as there is capacity for, and returns how many it
	// took. The journal owns those, with the durability that it promises. The error is the reason
	// why the others were not taken (ErrFull, ErrTooLarge, ErrUnwritable, ErrClosed); it is nil if
	// all were. Append may wait for stable storage but never for capacity.
	Append(packets []*packet.Packet) (taken int, err error)
	// AppendAll takes all packets, as Append does, or none. They count as one for the quota of
	// their emitter. The error is ErrTooMany if the journal would not take them if it were empty.
	AppendAll(packets []*packet.Packet) error
	// AppendAsync is Append without waiting. If pending is true, the journal calls w.OnCommit once
	// and owns the slice until then. Otherwise the packets have reached their final durability.
	AppendAsync(packets []*packet.Packet, w Waiter) (taken int, pending bool, err error)
	// CheckCapacity returns nil if a packet of the given bytes would be accepted now, and otherwise the
	// error of Append. It never waits.
	CheckCapacity(bytes int) error
	// Fits reports whether a packet of that many bytes would be taken if the journal were
	// empty. It never waits.
	Fits(bytes int) bool
	// Fetch appends up to limit queued packets to dst, oldest first, and makes the caller their
	// owner. It does not wait for packets to be queued; ctx bounds the time of requests to a store.
	// While packets are read back from disk, Fetch alternates between them and fresh packets. The
	// error is the reason why packets that may be queued could not be fetched; dst is valid
	// nevertheless.
	Fetch(ctx context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error)
	// Ready receives a value after packets were queued while a Fetch could have returned none.
	Ready() <-chan struct{}
	// Ack ends fetched packets, in any order: they were delivered, or are dead
	// letters. It releases them.
	Ack(packets []*packet.Packet)
	// Nak returns fetched packets, which are queued again before all others.
	Nak(packets []*packet.Packet)
	// Utilization returns the fraction of the capacity in use, 0 to 1. It never waits, and may be
	// approximate.
	Utilization() float64
	// Limit returns the name of the setting that Utilization is a part of.
	Limit() string
	// Stats returns the counts of this process, which are consistent.
	Stats() Stats
	// Sample calls visit for up to limit queued packets, drawn at random, and for some of the
	// packets that are not in memory. visit must neither block nor call the journal.
	Sample(limit int, visit backlog.Visit)
	// Oldest returns approximately when the oldest queued packet was accepted, the zero time if
	// there is none. Claimed packets may count too.
	Oldest() time.Time
	// Close stops taking packets and returns after the last write. Packets that are
	// neither delivered nor on stable storage are lost then; Stats still counts them.
	Close() error
}

// Waiter is notified when packets are stored.
type Waiter interface {
	// OnCommit is called when the packets of one AppendAsync are stored, or with the
	// reason why none is. It must neither block nor call the journal.
	OnCommit(err error)
}

// Stats is a consistent snapshot of a journal's counters: Accepted is the sum of Queued,
// Claimed and Acknowledged.
type Stats struct {
	Accepted     packet.Volume // taken by Append, since the start (and found at the start)
	Queued       packet.Volume // not claimed yet
	Claimed      packet.Volume // claimed and not acknowledged yet
	Acknowledged packet.Volume
	// Damaged is the part of Acknowledged that could not be read back from disk. It was
	// quarantined, counted and logged, and not delivered.
	Damaged     packet.Volume
	MemoryBytes int64 // memory of packets in bytes
	// Received is the volume that this process has to deliver. In a journal of one process it
	// equals Accepted; in a shared journal it is the volume that this process received from the
	// store, whichever distributor accepted it. Returned is the part of Received that this process
	// returned.
	Received, Returned packet.Volume
}

// Shared is a journal that several processes use: any of them may fetch what one of them
// took. The interface promises less of it than of a journal of one process:
//
//   - Packets that Append took are queued when they come back from the store, if this process
//     gets them, after a Fetch that could have returned more. Order is kept within parts of
//     the store only.
//   - The capacity is that of the store and not known beforehand: Append may fail although
//     CheckCapacity did not, and refuses all packets of one call then. If these were too
//     many for one message of the store, a part of them may be delivered nevertheless.
//   - Claims that were lost, because the process or its connection stood still for too long,
//     are given to others: packets may be fetched twice.
//   - Stats: Accepted is what Append took, Received what came back. The sum of Queued,
//     Claimed, Acknowledged and Returned is Received.
//   - Close gives back what is queued or claimed; Ack has no effect on it then.
type Shared interface {
	Journal
	// Release returns queued packets at once, and receives no further ones. Fetched packets must
	// still be acknowledged or returned.
	Release()
	// Survives returns the faults that accepted packets survive.
	Survives() string
	// Stored returns the content of the store at its latest report, for all processes.
	Stored() Stored
	// MaxPacketBytes returns the size of the largest body that the store takes now.
	MaxPacketBytes() int
}

// Stored is the content of a shared store: envelopes, each with one packet or more. Limit is 0 if
// there is none.
type Stored struct{ Envelopes, Bytes, Limit int64 }

// The reasons why a packet is not taken.
var (
	ErrFull       = errors.New("the queue is full")
	ErrUnwritable = errors.New("the journal cannot be written")
	ErrClosed     = errors.New("the journal is closed")
	ErrTooLarge   = errors.New("the packet is too large for the journal")
	ErrTooMany    = errors.New("the packets of the request are more than the journal takes")
)
