// Package memory implements a journal in memory, bounded in packets and in bytes. Its
// packets do not survive the process.
package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Config holds the limits of the journal; the tags are those of package config.
type Config struct {
	// QueuePackets is the maximum number of queued packets.
	QueuePackets int `env:"INGEST_BUFFER_SIZE" min:"1" reload:"live" help:"packets accepted and not yet bound to an analyzer"`
	// LimitBytes is the maximum memory of unacknowledged packets.
	LimitBytes int64 `env:"MEMORY_LIMIT_BYTES" format:"bytes" min:"1" reload:"live" help:"maximum bytes of packets in memory over all queues, such as 256MiB"`
}

// Journal implements journal.Journal in memory.
type Journal struct {
	config atomic.Pointer[Config]
	ready  worker.Signal

	// Copies of the state below for CheckCapacity and Utilization, which take no lock.
	heldBytes     atomic.Int64
	queuedPackets atomic.Int64
	closed        atomic.Bool

	mu           sync.Mutex // guards all below, and changes of the copies
	queue        ring.Queue[*packet.Packet]
	stats        journal.Stats
	lastSequence uint64
	emitters     emitterquota.Activity
	packetQuota  emitterquota.Quota // queued packets of each emitter
	byteQuota    emitterquota.Quota // memory of each emitter's unacknowledged packets
}

// New returns an empty journal.
func New(config Config) *Journal {
	j := &Journal{ready: worker.NewSignal()}
	j.config.Store(&config)
	return j
}

// Configure replaces the limits. Packets above the new limits stay in the journal.
func (j *Journal) Configure(next Config) { j.config.Store(&next) }

// Append implements journal.Journal.
func (j *Journal) Append(packets []*packet.Packet) (int, error) {
	j.mu.Lock()
	taken, err := j.takeLocked(packets)
	j.mu.Unlock()
	if taken > 0 {
		j.ready.Notify()
	}
	return taken, err
}

// AppendAsync is Append, which never waits.
func (j *Journal) AppendAsync(packets []*packet.Packet, _ journal.Waiter) (taken int, pending bool, err error) {
	taken, err = j.Append(packets)
	return taken, false, err
}

func (j *Journal) takeLocked(packets []*packet.Packet) (int, error) {
	config := j.config.Load()
	freePackets, freeBytes := int64(config.QueuePackets-j.queue.Len()), config.LimitBytes-j.stats.MemoryBytes
	taken, err := 0, error(nil)
	for _, p := range packets {
		if err = j.admitLocked(p, freePackets, freeBytes); err != nil {
			break
		}
		j.chargeLocked(p)
		freePackets--
		freeBytes -= p.Footprint()
		taken++
	}
	j.pushLocked(packets[:taken])
	return taken, err
}

// AppendAll implements journal.Journal.
func (j *Journal) AppendAll(packets []*packet.Packet) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	config := j.config.Load()
	freePackets, freeBytes, bytes := int64(config.QueuePackets-j.queue.Len()), config.LimitBytes-j.stats.MemoryBytes, int64(0)
	full := error(nil)
	for n, p := range packets {
		if full == nil {
			full = j.admitLocked(p, freePackets-int64(n), freeBytes-bytes)
		}
		bytes += p.Footprint()
	}
	switch {
	case errors.Is(full, journal.ErrFull) && len(packets) > config.QueuePackets:
		return fmt.Errorf("%w: INGEST_BUFFER_SIZE is %d, and they are %d", journal.ErrTooMany, config.QueuePackets, len(packets))
	case errors.Is(full, journal.ErrFull) && bytes > config.LimitBytes:
		return fmt.Errorf("%w: MEMORY_LIMIT_BYTES is %d, and they take %d", journal.ErrTooMany, config.LimitBytes, bytes)
	case full != nil:
		return full
	}
	for _, p := range packets {
		j.chargeLocked(p)
	}
	j.pushLocked(packets)
	j.ready.Notify()
	return nil
}

// admitLocked returns the reason why the limits do not admit a packet, or nil.
func (j *Journal) admitLocked(p *packet.Packet, freePackets, freeBytes int64) error {
	if j.closed.Load() {
		return journal.ErrClosed
	}
	p.Slot = emitterquota.SlotOf(emitterquota.TagOf(p.Principal), p)
	j.emitters.Record(p.Slot, p.Accepted)
	contended := j.emitters.Contended()
	if !j.packetQuota.Admits(p.Slot, 1, freePackets, contended) || !j.byteQuota.Admits(p.Slot, p.Footprint(), freeBytes, contended) {
		return journal.ErrFull
	}
	return nil
}

// chargeLocked charges the quotas of the packet's emitter.
func (j *Journal) chargeLocked(p *packet.Packet) {
	j.packetQuota.Add(p.Slot, 1)
	j.byteQuota.Add(p.Slot, p.Footprint())
}

// pushLocked queues admitted packets.
func (j *Journal) pushLocked(packets []*packet.Packet) {
	var volume packet.Volume
	for _, p := range packets {
		j.lastSequence++
		p.Sequence = j.lastSequence
		j.queue.Push(p)
		j.stats.MemoryBytes += p.Footprint()
		volume.Add(p)
	}
	j.stats.Accepted = j.stats.Accepted.Plus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.mirrorLocked()
}

// CheckCapacity implements journal.Journal.
func (j *Journal) CheckCapacity(bytes int) error {
	if j.closed.Load() {
		return journal.ErrClosed
	}
	config := j.config.Load()
	if j.queuedPackets.Load() >= int64(config.QueuePackets) ||
		j.heldBytes.Load()+packet.FootprintOf(bytes) > config.LimitBytes {
		return journal.ErrFull
	}
	return nil
}

// Fits implements journal.Journal.
func (j *Journal) Fits(bytes int) bool {
	return packet.FootprintOf(bytes) <= j.config.Load().LimitBytes
}

// Utilization returns the utilization of the queue or of the memory, whichever is higher.
func (j *Journal) Utilization() float64 { return max(j.used()) }

// Limit implements journal.Journal.
func (j *Journal) Limit() string {
	if packets, bytes := j.used(); packets < bytes {
		return "MEMORY_LIMIT_BYTES"
	}
	return "INGEST_BUFFER_SIZE"
}

// used returns the utilization of the queue and of the memory.
func (j *Journal) used() (packets, bytes float64) {
	config := j.config.Load()
	return float64(j.queuedPackets.Load()) / float64(config.QueuePackets), float64(j.heldBytes.Load()) / float64(config.LimitBytes)
}

// Fetch returns the oldest packets. It returns no error.
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

// Nak implements journal.Journal.
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
	j.ready.Notify()
}

// Ready implements journal.Journal.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Ack implements journal.Journal.
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

// Stats implements journal.Journal.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.Received = stats.Accepted
	return stats
}

// Close makes later Appends fail.
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
