// Package disk implements a journal as a segmented log on disk. Packets that Append
// took are on stable storage; Open restores all unacknowledged packets. Packets above
// the memory limit are on disk only and are read back in order.
//
// No packet is lost by a crash of the process or of the machine. Damage never fails
// Open; lost packets are reported by it or when they are read back. A full or failing
// disk refuses packets and keeps the stored ones. Delivery is at least once: after a crash, packets whose
// acknowledgements were not written are fetched again. See docs/journal-format.md.
package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Dependencies are what a journal uses.
type Dependencies struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Pool       *packet.Pool          // for packets that are read back

	files        fileSystem // nil: osFiles
	segmentBytes int64      // 0: Config.segmentBytes
}

// Journal implements journal.Journal on disk.
//
// It has two goroutines: the committer writes, and the compactor reads back, rewrites
// and removes segments.
type Journal struct {
	logger  *slog.Logger
	pool    *packet.Pool
	files   fileSystem
	dir     string // of the segments
	metrics *metrics
	lock    directoryLock

	quarantine *quarantine // used by Open, then by the compactor
	ready      worker.Signal
	committing *worker.Worker
	compacting *worker.Worker
	requests   sync.Pool // of *request
	*journal.Appender

	mu            sync.Mutex // guards all below
	config        Config
	segmentBytes  int64 // 0: config.segmentBytes
	index         index
	segments      []*segment // in order, without the obsolete ones
	active        *segment   // last of segments; nil while there is none to append to
	obsolete      []*segment // to be removed by the compactor, in order
	bytes         int64      // of all segments, obsolete ones included
	obsoleteBytes int64
	removeFailed  bool       // obsolete[0] cannot be removed
	liveBytes     int64      // of the records of unacknowledged packets
	pending       []*request // not yet collected by the committer
	reserved      int64      // record bytes of packets that are not committed
	emitters      emitterquota.Activity
	quota         emitterquota.Quota // record bytes of each emitter, once read in this run
	quotaOnDisk   emitterquota.Quota // part of quota whose packets are on disk only
	firstOfRun    uint64             // first sequence of this run
	rewrite       *rewrite           // nil: none is pending
	acked         []uint64           // acknowledged sequences that are not written
	queues        [residencies]ring.Queue[*packet.Packet]
	lastFetched   residency          // queue of the last fetched packet
	held          [residencies]int64 // memory of packets in bytes
	backlog       ring.Queue[*block] // blocks on disk only
	deliveryChans deliveryChans
	stats         journal.Stats
	quarantined   packet.Volume
	unwritable    error // nil while writable
	closed        bool
}

// submit implements journal.Submit. The packets that the Appender takes are on stable storage.
func (j *Journal) submit(packets []*packet.Packet, minimum int, w journal.Waiter) (taken int, pending bool, err error) {
	r := j.requests.Get().(*request)
	r.waiter = w
	j.mu.Lock()
	taken, err = j.admitLocked(packets, minimum, r)
	j.mu.Unlock()
	if taken == 0 {
		j.requests.Put(r)
		return 0, false, err
	}
	j.committing.Wake()
	return taken, true, err
}

// complete recycles a request and notifies its waiter.
func (j *Journal) complete(r *request, err error) {
	w := r.waiter
	*r = request{}
	j.requests.Put(r)
	w.OnCommit(err)
}

// admitLocked reserves capacity for the first packets, if there is capacity for the minimum of
// them, which then count as one packet for the quotas.
func (j *Journal) admitLocked(packets []*packet.Packet, minimum int, r *request) (taken int, err error) {
	r.bytes = 0
	for _, p := range packets {
		if p.Accepted.IsZero() {
			p.Accepted = time.Now()
		}
		size := recordBytes(p)
		if err = j.capacityLocked(r.bytes + size); err != nil {
			break
		}
		if !j.quotaAdmitsLocked(p, size, r.bytes) {
			err = journal.ErrFull
			break
		}
		if minimum <= 1 {
			j.quota.Add(p.Slot, size)
		}
		r.bytes += size
		taken++
	}
	if taken < minimum {
		return 0, j.finalLocked(packets, err)
	}
	if minimum > 1 {
		for _, p := range packets[:taken] {
			j.quota.Add(p.Slot, recordBytes(p))
		}
	}
	if taken > 0 {
		r.packets = packets[:taken]
		j.pending = append(j.pending, r)
		j.reserved += r.bytes
	}
	return taken, err
}

// finalLocked returns ErrTooMany instead of ErrFull for packets that can never have capacity
// together.
func (j *Journal) finalLocked(packets []*packet.Packet, err error) error {
	bytes := int64(0)
	for _, p := range packets {
		bytes += recordBytes(p)
	}
	if !errors.Is(err, journal.ErrFull) || bytes <= j.config.MaxBytes {
		return err
	}
	return fmt.Errorf("%w: JOURNAL_MAX_BYTES is %d, and they take %d", journal.ErrTooMany, j.config.MaxBytes, bytes)
}

// CheckCapacity implements journal.Journal.
func (j *Journal) CheckCapacity(bytes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.capacityLocked(recordHeaderBytes + int64(bytes))
}

// Fits implements journal.Journal.
func (j *Journal) Fits(bytes int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return recordHeaderBytes+int64(bytes) <= j.config.MaxBytes
}

func (j *Journal) capacityLocked(bytes int64) error {
	switch {
	case j.closed:
		return journal.ErrClosed
	case j.unwritable != nil:
		return j.unwritable
	case j.usedLocked()+j.reserved+bytes > j.config.MaxBytes:
		return journal.ErrFull
	}
	return nil
}

// Utilization returns the used part of Config.MaxBytes.
func (j *Journal) Utilization() float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return float64(j.usedLocked()+j.reserved) / float64(j.config.MaxBytes)
}

// Limit implements journal.Journal.
func (j *Journal) Limit() string { return "JOURNAL_MAX_BYTES" }

// usedLocked returns the bytes that count against Config.MaxBytes. The active segment
// counts as empty if it is the only one and fully acknowledged, as the next commit can
// begin a new one.
func (j *Journal) usedLocked() int64 {
	used := j.bytesLocked()
	if len(j.segments) == 1 && j.segments[0].unacked == 0 {
		used -= j.segments[0].bytes
	}
	return used
}

// bytesLocked returns the bytes of the segments. Obsolete ones count only if they
// cannot be removed.
func (j *Journal) bytesLocked() int64 {
	if j.removeFailed {
		return j.bytes
	}
	return j.bytes - j.obsoleteBytes
}

// Fetch returns packets that are in memory. It alternates between fresh packets and
// those of the backlog, so that both make progress. It returns no error: packets that
// cannot be read back are quarantined.
func (j *Journal) Fetch(_ context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var volume packet.Volume
	for range limit {
		if other := residentFresh + residentBacklog - j.lastFetched; j.queues[other].Len() > 0 {
			j.lastFetched = other
		}
		if j.queues[j.lastFetched].Len() == 0 {
			break
		}
		p := j.queues[j.lastFetched].Pop()
		volume.Add(p)
		dst = append(dst, p)
	}
	j.stats.Queued = j.stats.Queued.Minus(volume)
	j.stats.Claimed = j.stats.Claimed.Plus(volume)
	if j.backlog.Len() > 0 {
		j.compacting.Wake()
	}
	return dst, nil
}

// Nak implements journal.Journal.
func (j *Journal) Nak(packets []*packet.Packet) {
	volume := packet.VolumeOf(packets)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range slices.Backward(packets) {
		j.queues[residentFresh].PushFront(p)
	}
	j.stats.Claimed = j.stats.Claimed.Minus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.ready.Notify()
}

// Ready implements journal.Journal.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Ack does not wait for the disk: after a crash the last acknowledged packets may be
// fetched again.
func (j *Journal) Ack(packets []*packet.Packet) {
	j.mu.Lock()
	first := len(j.acked) == 0
	for _, p := range packets {
		j.ackLocked(p)
	}
	j.retireLocked()
	urgent := first && len(j.acked) > 0 || len(j.acked) >= acksPerRecord
	if j.backlog.Len() > 0 || len(j.obsolete) > 0 || j.needsRewriteLocked() {
		j.compacting.Wake()
	}
	j.mu.Unlock()
	if urgent {
		j.committing.Wake()
	}
	for _, p := range packets {
		p.Release()
	}
}

func (j *Journal) ackLocked(p *packet.Packet) {
	b := j.index.ack(p.Sequence)
	if b == nil {
		return
	}
	j.stats.Claimed.Subtract(p)
	j.stats.Acknowledged.Add(p)
	j.held[b.residency] -= p.Footprint()
	j.liveBytes -= recordBytes(p)
	j.releaseQuotaLocked(p)
	j.acked = append(j.acked, p.Sequence)
}

// Stats implements journal.Journal. Quarantined packets count as acknowledged; see
// Status.Quarantined.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.MemoryBytes, stats.Received = j.heldLocked(), stats.Accepted
	return stats
}

func (j *Journal) heldLocked() int64 { return j.held[residentFresh] + j.held[residentBacklog] }

// Status is the state of a journal in addition to Stats.
type Status struct {
	Bytes int64 // on disk
	// Oldest is the approximate time at which the oldest unacknowledged packet was
	// accepted, or zero.
	Oldest time.Time
	// Unwritable is the reason for refusing packets; nil while writable.
	Unwritable error
	// Quarantined is the volume of undelivered packets that this run could not read.
	// Stats counts those found after the start as acknowledged, and those found at
	// the start not at all.
	Quarantined packet.Volume
}

// Status returns the current state. It may be called concurrently.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	status := Status{Bytes: j.bytesLocked(), Unwritable: j.unwritable, Quarantined: j.quarantined}
	if oldest := j.index.oldest(); oldest != 0 {
		status.Oldest = time.Unix(0, oldest)
	}
	return status
}

// Close commits pending packets, writes the acknowledgements and releases the lock.
// Later acknowledgements are not written.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if closed {
		return nil
	}
	j.compacting.Stop()
	j.committing.Stop()
	return j.lock.Close()
}
