// Package jetstream implements a journal in the streams of a NATS server or cluster, which
// several distributors share: what one of them accepts, any of them delivers.
//
//	Append ─▶ pending ─▶ envelope ─publish─▶ stream ─pull─▶ queue ─Fetch─▶ claimed ─Ack─▶ ended
//	                        ▲  resent until the PubAck        │                              │
//	                        └──────────── returned ◀──────────┘       all of an envelope ended: ack
//
// A packet is accepted once the stream has acknowledged its envelope. An envelope that was
// received is claimed for ackWait, which is extended while its packets are on their way; a
// distributor that dies gives it back by that. Delivery is at least once: after a crash, or a
// loss of the connection to NATS, packets may be delivered again.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Dependencies are what a journal uses.
type Dependencies struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Pool       *packet.Pool          // for packets that are received
	// QuarantineDir is the directory of envelopes that cannot be read; empty: they are not kept.
	QuarantineDir string
}

// Journal implements journal.Journal and journal.Shared. All methods may be called
// concurrently, except that only one goroutine may call Fetch.
//
// Its goroutines: the sender publishes envelopes, a receiver for each stream pulls them, the
// keeper extends claims and sends acks, and the watcher makes and watches the streams.
type Journal struct {
	logger     *slog.Logger
	pool       *packet.Pool
	quarantine quarantine
	metrics    *metrics
	name       string // name of this process, in ids
	link       *natslink.Link
	// pubAckSubject is where streams answer, followed by the number of the publication.
	pubAckSubject string
	linked        chan struct{} // closed once link is set
	furtherFound  bool          // see findFurtherPartitions; used by Open, then by the watcher
	ready         worker.Signal
	sending       *worker.Worker
	keeping       *worker.Worker
	watching      *worker.Worker
	*journal.Appender
	config         Config // of MemoryLimitBytes, memoryLimit counts
	durability     durability
	stuckAfter     time.Duration // see the constant of the same name and publishTimeout
	publishTimeout time.Duration
	spareAcks      []ack // used by the keeper

	mu          sync.Mutex // guards all below
	memoryLimit int64
	partitions  []*partition
	opened      bool
	closed      bool
	releasing   bool  // no envelope is claimed any more
	unwritable  error // nil while writable, and while stall lasts
	stall       stall
	lost        error // why NATS cannot be reached
	setupErr    error // why the streams are not ready

	// Packets on the way to the streams.
	pending      []*request
	pendingBytes int   // records of pending requests that are not published
	sendingBytes int64 // memory of pending and published requests
	quota        emitterquota.Quota
	emitters     emitterquota.Activity
	published    map[uint64]*publication // without a PubAck, by number
	buffers      [][]byte                // buffers of publications that have ended
	lastNumber   uint64
	lastBegun    time.Time // when the latest envelope of new packets was made
	awaited      awaited

	// Received packets.
	claims          map[uint64]*claim // claims by number
	byID            map[string]*claim // claims by id, including those that ended recently
	ended           ring.Queue[endedClaim]
	lastClaim       uint64
	queue           ring.Queue[*packet.Packet]
	queuedBytes     int64     // memory of packets in queue
	claimedBytes    int64     // memory of fetched packets
	pulledBytes     int64     // bytes that pulls may still bring
	wanted          bool      // Fetch had fewer packets than its limit
	memoryExhausted bool      // a receiver waits for memory for a pull
	exhausted       time.Time // when there was no memory for a pull
	lastFetch       time.Time
	maintained      time.Time // see maintainClaimsLocked
	acks            []ack     // messages that the keeper has to send
	sentAcks        ring.Queue[sentAck]
	stats           journal.Stats
}

// memoryShare is the fraction of the memory limit for packets on the way to the streams, and the
// fraction for packets from there.
const memoryShare = 2

// submit implements journal.Submit. The packets that the Appender takes are in one envelope, which
// a stream acknowledges, unless they exceed the maximum message of NATS or of the streams. Then they count as
// refused if only a part of them was acknowledged, and that part may be delivered nevertheless.
func (j *Journal) submit(packets []*packet.Packet, minimum int, w journal.Waiter) (taken int, pending bool, err error) {
	r := &request{waiter: w, whole: minimum > 1}
	j.mu.Lock()
	taken, err = j.admitLocked(packets, minimum, r)
	j.mu.Unlock()
	if taken == 0 {
		return 0, false, err
	}
	j.sending.Wake()
	return taken, true, err
}

// admitLocked reserves memory for the first packets, if there is memory for the minimum of them.
// With a minimum above 1 the quotas admit all of them or none.
func (j *Journal) admitLocked(packets []*packet.Packet, minimum int, r *request) (taken int, err error) {
	maxRecord := j.maxRecordLocked()
	for _, p := range packets {
		if p.Accepted.IsZero() {
			p.Accepted = time.Now()
		}
		if size := recordBytes(p); size > maxRecord {
			err = j.tooLargeLocked(size)
			break
		}
		footprint := sendingFootprint(p)
		if err = j.capacityLocked(footprint); err != nil {
			break
		}
		if !j.quotaAdmitsLocked(p, footprint) {
			err = journal.ErrFull
			break
		}
		if minimum <= 1 {
			j.quota.Add(p.Slot, footprint)
		}
		j.sendingBytes += footprint
		r.bytes += recordBytes(p)
		taken++
	}
	if taken < minimum {
		for _, p := range packets[:taken] {
			j.sendingBytes -= sendingFootprint(p)
		}
		return 0, j.finalLocked(packets, err)
	}
	if minimum > 1 {
		for _, p := range packets[:taken] {
			j.quota.Add(p.Slot, sendingFootprint(p))
		}
	}
	j.pendingBytes += r.bytes
	if taken > 0 {
		r.packets = packets[:taken]
		j.pending = append(j.pending, r)
	}
	return taken, err
}

// tooLargeLocked is the error of a packet whose record is larger than a message may be.
func (j *Journal) tooLargeLocked(size int) error {
	bytes, stream := j.maxMessageLocked()
	setting := "max_payload"
	if stream != nil {
		setting = "max_msg_size of the stream " + stream.stream
	}
	return fmt.Errorf("%w: it takes %d bytes of a NATS message, which has at most %d (%s)", journal.ErrTooLarge, size+envelopeOverhead, bytes, setting)
}

// finalLocked returns ErrTooMany instead of ErrFull for packets that can never have memory
// together.
func (j *Journal) finalLocked(packets []*packet.Packet, err error) error {
	bytes, limit := int64(0), j.memoryLimit/memoryShare
	for _, p := range packets {
		bytes += sendingFootprint(p)
	}
	if !errors.Is(err, journal.ErrFull) || bytes <= limit {
		return err
	}
	return fmt.Errorf("%w: half of MEMORY_LIMIT_BYTES is %d, and they take %d", journal.ErrTooMany, limit, bytes)
}

// quotaAdmitsLocked reports whether the packet's emitter may hold that much more of the
// memory of packets on the way to the streams.
func (j *Journal) quotaAdmitsLocked(p *packet.Packet, footprint int64) bool {
	p.Slot = emitterquota.SlotOf(emitterquota.TagOf(p.Principal), p)
	j.emitters.Record(p.Slot, p.Accepted)
	free := j.memoryLimit/memoryShare - j.sendingBytes
	return j.quota.Admits(p.Slot, footprint, free, j.emitters.Contended())
}

// CheckCapacity implements journal.Journal.
func (j *Journal) CheckCapacity(bytes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.capacityLocked(packet.FootprintOf(bytes) + int64(bytes))
}

// Fits implements journal.Journal. It does not consider the capacity of the streams.
func (j *Journal) Fits(bytes int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return packet.FootprintOf(bytes)+int64(bytes) <= j.memoryLimit/memoryShare
}

func (j *Journal) capacityLocked(footprint int64) error {
	switch {
	case j.closed:
		return journal.ErrClosed
	case j.fullLocked():
		return journal.ErrFull
	case j.unwritable != nil && !j.mayTryLocked():
		return j.unwritable
	case j.sendingBytes+footprint > j.memoryLimit/memoryShare:
		return journal.ErrFull
	}
	return nil
}

// Utilization returns the used fraction of the streams or of the memory, whichever is higher.
func (j *Journal) Utilization() float64 { return min(max(j.used()), 1) }

// Limit implements journal.Journal. The memory is for what the streams have not acknowledged.
func (j *Journal) Limit() string {
	if memory, streams := j.used(); memory > streams {
		return "half of MEMORY_LIMIT_BYTES"
	}
	return "JETSTREAM_MAX_BYTES"
}

// used returns the used fractions of the memory for packets on their way to the streams, and of the
// streams.
func (j *Journal) used() (memory, streams float64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	memory = float64(j.sendingBytes) / float64(j.memoryLimit/memoryShare)
	if bytes, limit := j.streamBytesLocked(); limit > 0 {
		streams = float64(bytes) / float64(limit)
	}
	return memory, streams
}

// Fetch implements journal.Journal: it returns packets that were received. It returns no
// error.
func (j *Journal) Fetch(_ context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error) {
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastFetch = now
	if now.Sub(j.maintained) > 2*maintainInterval {
		j.maintainClaimsLocked(now) // this process was suspended: expired claims are not fetched
	}
	var volume packet.Volume
	for range min(limit, j.queue.Len()) {
		p := j.queue.Pop()
		claim := j.claims[numberOf(p.Sequence)]
		claim.slots[slotOf(p.Sequence)] = slotClaimed
		claim.queued--
		claim.claimed++
		j.queuedBytes -= p.Footprint()
		j.claimedBytes += p.Footprint()
		volume.Add(p)
		dst = append(dst, p)
	}
	j.stats.Queued = j.stats.Queued.Minus(volume)
	j.stats.Claimed = j.stats.Claimed.Plus(volume)
	if j.queuedBytes < j.prefetchLocked()/2 && !j.isBehindLocked(now) {
		j.wantLocked()
	}
	return dst, nil
}

// wantLocked makes the receivers pull.
func (j *Journal) wantLocked() {
	if j.wanted {
		return
	}
	j.wanted = true
	j.wakeReceiversLocked()
}

func (j *Journal) wakeReceiversLocked() {
	for _, p := range j.partitions {
		p.receiving.Wake()
	}
}

// Nak implements journal.Journal.
func (j *Journal) Nak(packets []*packet.Packet) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var volume packet.Volume
	for _, p := range slices.Backward(packets) {
		claim := j.claims[numberOf(p.Sequence)]
		if claim == nil {
			j.lostLocked(p)
			p.Release()
			continue
		}
		claim.slots[slotOf(p.Sequence)] = slotQueued
		claim.claimed--
		claim.queued++
		j.claimedBytes -= p.Footprint()
		j.queuedBytes += p.Footprint()
		volume.Add(p)
		j.queue.PushFront(p)
	}
	j.stats.Claimed = j.stats.Claimed.Minus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.ready.Notify()
	if j.releasing {
		j.keeping.Wake()
	}
}

// lostLocked counts a fetched packet whose envelope Close has returned.
func (j *Journal) lostLocked(p *packet.Packet) {
	j.claimedBytes -= p.Footprint()
	j.stats.Claimed.Subtract(p)
	j.stats.Returned.Add(p)
}

// Ready implements journal.Journal.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Ack implements journal.Journal. An envelope is acknowledged when all its packets have ended.
func (j *Journal) Ack(packets []*packet.Packet) {
	wake := false
	j.mu.Lock()
	for _, p := range packets {
		claim := j.claims[numberOf(p.Sequence)]
		if claim == nil {
			j.lostLocked(p)
			continue
		}
		slot := slotOf(p.Sequence)
		claim.slots[slot] = slotEnded
		claim.claimed--
		j.claimedBytes -= p.Footprint()
		j.stats.Claimed.Subtract(p)
		j.stats.Acknowledged.Add(p)
		if r, ok := claim.takeResult(slot); ok {
			j.acks = append(j.acks, r)
			wake = true
		}
		if claim.isEmpty() {
			wake = j.endLocked(claim) || wake
		}
	}
	j.memoryFreedLocked()
	j.mu.Unlock()
	if wake {
		j.keeping.Wake()
	}
	for _, p := range packets {
		p.Release()
	}
}

// Stats implements journal.Journal.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.MemoryBytes = j.sendingBytes + j.queuedBytes + j.claimedBytes
	return stats
}

// Sample implements journal.Journal, for received packets.
func (j *Journal) Sample(limit int, visit backlog.Visit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for at, weight := range backlog.Draw(j.queue.Len(), limit) {
		visit(j.queue.At(at), weight)
	}
}

// Oldest implements journal.Journal, for all packets of the streams.
func (j *Journal) Oldest() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var oldest time.Time
	if j.queue.Len() > 0 {
		oldest = j.queue.First().Accepted
	}
	for _, p := range j.partitions {
		if first := p.state.first; !first.IsZero() && (oldest.IsZero() || first.Before(oldest)) {
			oldest = first
		}
	}
	return oldest
}

// Configure replaces the memory limit; the other settings do not change.
func (j *Journal) Configure(next Config) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memoryLimit = next.MemoryLimitBytes
}
