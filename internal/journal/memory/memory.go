// Package memory is the journal that survives nothing: packets wait in a
// bounded queue in memory, and a stop that cannot deliver them reports how
// many were left. It is bounded in packets and in bytes.
package memory

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// Config bounds the journal.
type Config struct {
	// QueuePackets is how many packets may wait to be claimed.
	QueuePackets int
	// LimitBytes is how much memory all packets that are not acknowledged
	// may hold.
	LimitBytes int64
}

// Journal keeps packets in memory. It implements journal.Journal.
type Journal struct {
	config Config
	ready  chan struct{}

	// These mirror what is below for CheckCapacity, which takes no lock.
	heldBytes     atomic.Int64
	queuedPackets atomic.Int64
	closed        atomic.Bool

	mu           sync.Mutex // guards all below, and changes of the mirrors
	queue        ring.Queue[*packet.Packet]
	stats        journal.Stats
	lastSequence uint64 // the sequence given last
	// Who is there, each emitter's packets that wait, and its bytes that are
	// held.
	emitters               emitterquota.Activity
	packetQuota, byteQuota emitterquota.Quota
}

// New returns an empty journal.
func New(config Config) *Journal {
	return &Journal{config: config, ready: make(chan struct{}, 1)}
}

// Append takes as many packets as there is room for.
func (j *Journal) Append(packets []*packet.Packet) (int, error) {
	j.mu.Lock()
	taken, err := j.takeLocked(packets)
	j.mu.Unlock()
	if taken > 0 {
		j.signalReady()
	}
	return taken, err
}

// announce makes Ready's channel report queued packets.
func (j *Journal) signalReady() {
	select {
	case j.ready <- struct{}{}:
	default:
	}
}

// AppendAsync is Append, which never waits.
func (j *Journal) AppendAsync(packets []*packet.Packet, _ journal.Waiter) (taken int, pending bool, err error) {
	taken, err = j.Append(packets)
	return taken, false, err
}

func (j *Journal) takeLocked(packets []*packet.Packet) (int, error) {
	if j.closed.Load() {
		return 0, journal.ErrClosed
	}
	var volume packet.Volume
	var taken int
	var err error
	for _, p := range packets {
		footprint := p.Footprint()
		var buffer [128]byte
		p.Slot = emitterquota.SlotOf(p.EmitterID.Decoded(buffer[:0], p.Body))
		if !j.admitsLocked(p, footprint) {
			err = journal.ErrFull
			break
		}
		j.packetQuota.Add(p.Slot, 1)
		j.byteQuota.Add(p.Slot, footprint)
		j.lastSequence++
		p.Sequence = j.lastSequence
		j.queue.Push(p)
		j.stats.MemoryBytes += footprint
		volume.Add(p)
		taken++
	}
	j.stats.Accepted = j.stats.Accepted.Plus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.mirrorLocked()
	return taken, err
}

// admitsLocked tells whether there is room for the packet, some of which is
// left to other emitters when there are any.
func (j *Journal) admitsLocked(p *packet.Packet, footprint int64) bool {
	j.emitters.Record(p.Slot, p.Accepted)
	others := j.emitters.Contended()
	return j.packetQuota.Admits(p.Slot, 1, int64(j.config.QueuePackets-j.queue.Len()), others) &&
		j.byteQuota.Admits(p.Slot, footprint, j.config.LimitBytes-j.stats.MemoryBytes, others)
}

// CheckCapacity tells whether a packet of that many bytes would be taken now.
func (j *Journal) CheckCapacity(bytes int) error {
	if j.closed.Load() {
		return journal.ErrClosed
	}
	if j.queuedPackets.Load() >= int64(j.config.QueuePackets) ||
		j.heldBytes.Load()+packet.FootprintOf(bytes) > j.config.LimitBytes {
		return journal.ErrFull
	}
	return nil
}

// Utilization is that of the queue or of the memory, whichever is fuller.
func (j *Journal) Utilization() float64 {
	return max(float64(j.queuedPackets.Load())/float64(j.config.QueuePackets),
		float64(j.heldBytes.Load())/float64(j.config.LimitBytes))
}

// Fetch hands over the oldest packets. It returns no error.
func (j *Journal) Fetch(_ context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var volume packet.Volume
	for range min(limit, j.queue.Len()) {
		p := j.queue.Pop()
		j.packetQuota.Add(p.Slot, -1)
		volume.Add(p)
		dst = append(dst, p)
	}
	j.stats.Queued = j.stats.Queued.Minus(volume)
	j.stats.Claimed = j.stats.Claimed.Plus(volume)
	j.mirrorLocked()
	return dst, nil
}

// Nak queues claimed packets again.
func (j *Journal) Nak(packets []*packet.Packet) {
	volume := packet.VolumeOf(packets)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range slices.Backward(packets) {
		j.packetQuota.Add(p.Slot, 1)
		j.queue.PushFront(p)
	}
	j.stats.Claimed = j.stats.Claimed.Minus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.mirrorLocked()
	j.signalReady()
}

// Ready receives a value after packets were queued.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Ack ends claimed packets and releases them.
func (j *Journal) Ack(packets []*packet.Packet) {
	volume := packet.VolumeOf(packets)
	var footprint int64
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range packets {
		footprint += p.Footprint()
		j.byteQuota.Add(p.Slot, -p.Footprint())
		p.Release()
	}
	j.stats.Claimed = j.stats.Claimed.Minus(volume)
	j.stats.Acknowledged = j.stats.Acknowledged.Plus(volume)
	j.stats.MemoryBytes -= footprint
	j.mirrorLocked()
}

// Stats returns the books at one moment.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stats
}

// Close makes every further Append fail.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed.Store(true)
	return nil
}

func (j *Journal) mirrorLocked() {
	j.heldBytes.Store(j.stats.MemoryBytes)
	j.queuedPackets.Store(int64(j.queue.Len()))
}
