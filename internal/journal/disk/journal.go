// Package disk is the journal that survives: a packet that Append took is on
// stable storage, and a journal that is opened again has every packet that was
// not acknowledged. Memory is bounded: what does not fit waits on disk alone
// and is read back in order.
//
// It promises that nothing which Append took is lost by the death of the process
// or of the machine, that it always opens and tells what damage cost, and that
// a disk that fails or is full costs refusals, not packets. It does not promise
// that a packet is handed out only once: after a crash the last acknowledged
// ones may come again. The format is described in docs/journal-format.md.
package disk

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// Deps are the parts that a journal uses.
type Deps struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	// Pool lends the packets that are read back from disk.
	Pool *packet.Pool

	files        fileSystem // nil: the machine's
	segmentBytes int64      // 0: by Config.MaxBytes
}

// Journal keeps packets on disk. It implements journal.Journal.
//
// Two goroutines belong to it: the committer writes everything, and the keeper
// reads packets back and removes segments.
type Journal struct {
	config  Config
	logger  *slog.Logger
	pool    *packet.Pool
	files   fileSystem
	dir     string // of the segments
	metrics *metrics
	lock    directoryLock

	quarantine  *quarantine // used by Open, then by the keeper
	ready       chan struct{}
	committing  *loop
	compacting  *loop
	requests    sync.Pool // of *request
	syncWaiters sync.Pool // of wait

	mu            sync.Mutex // guards all below
	index         index
	segments      []*segment // that have packets left, or come after one that has
	active        *segment   // the last of them, when it is written to
	obsolete      []*segment // to be removed by the keeper, in order
	bytes         int64      // of segments, dead ones too
	obsoleteBytes int64      // of them, of dead ones
	removeFailed  bool       // the first dead one cannot be removed
	liveBytes     int64      // bytes of the records that are left in them
	pending       []*request // not committed; the committer takes them from the front
	reserved      int64      // bytes of records of taken packets that are not committed
	emitters      emitterquota.Activity
	quota         emitterquota.Quota // bytes of records, as far as this run knows whose they are
	firstOfRun    uint64             // the first sequence that this run gives
	rewrite       *rewrite
	acked         []uint64 // sequences acknowledged and not written yet
	queues        [residencies]ring.Queue[*packet.Packet]
	lastFetched   residency // that a packet was claimed from
	held          [residencies]int64
	backlog       ring.Queue[*block] // on disk alone
	deliveryChans deliveryChans
	stats         journal.Stats
	quarantined   packet.Volume
	unwritable    error // nil while it can be written
	closed        bool
}

// Append takes packets as far as the budget allows and returns when they are on
// stable storage. The packets of one call are committed together: when that
// fails, none of them is taken.
func (j *Journal) Append(packets []*packet.Packet) (int, error) {
	w := j.syncWaiters.Get().(syncWaiter)
	defer j.syncWaiters.Put(w)
	taken, pending, err := j.AppendAsync(packets, w)
	if !pending {
		return taken, err
	}
	if failure := <-w; failure != nil {
		return 0, failure
	}
	return taken, err
}

// AppendAsync takes packets as Append does, and tells w when they are on stable storage.
func (j *Journal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (taken int, pending bool, err error) {
	r := j.requests.Get().(*request)
	r.waiter = w
	j.mu.Lock()
	taken, err = j.admitLocked(packets, r)
	j.mu.Unlock()
	if taken == 0 {
		j.requests.Put(r)
		return 0, false, err
	}
	j.committing.wake()
	return taken, true, err
}

// tell ends a request.
func (j *Journal) complete(r *request, err error) {
	w := r.waiter
	*r = request{}
	j.requests.Put(r)
	w.OnCommit(err)
}

func (j *Journal) admitLocked(packets []*packet.Packet, r *request) (taken int, err error) {
	r.bytes = 0
	for _, p := range packets {
		if p.Accepted.IsZero() {
			p.Accepted = time.Now()
		}
		size := recordBytes(p)
		if err = j.capacityLocked(r.bytes + size); err != nil {
			break
		}
		if !j.acquireQuotaLocked(p, size, r.bytes) {
			err = journal.ErrFull
			break
		}
		r.bytes += size
		taken++
	}
	if taken > 0 {
		r.packets = packets[:taken]
		j.pending = append(j.pending, r)
		j.reserved += r.bytes
	}
	return taken, err
}

// CheckCapacity tells whether a packet of that many bytes would be taken now.
func (j *Journal) CheckCapacity(bytes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.capacityLocked(recordHeaderBytes + int64(bytes))
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

// Utilization is the part of the budget on disk that is used.
func (j *Journal) Utilization() float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return float64(j.usedLocked()+j.reserved) / float64(j.config.MaxBytes)
}

// usedLocked returns the bytes that count against the budget. A journal with
// nothing left counts as empty: the next commit may begin a new segment.
func (j *Journal) usedLocked() int64 {
	used := j.bytesLocked()
	if len(j.segments) == 1 && j.segments[0].unacked == 0 {
		used -= j.segments[0].bytes
	}
	return used
}

// bytesLocked returns the bytes of segments. Dead ones are as good as gone,
// unless they cannot be removed.
func (j *Journal) bytesLocked() int64 {
	if j.removeFailed {
		return j.bytes
	}
	return j.bytes - j.obsoleteBytes
}

// Fetch hands over packets that are in memory. While packets are read back from
// disk, it takes turns between those and fresh ones, each oldest first, so that
// a long backlog and fresh traffic both make progress. It returns no error: what
// cannot be read back is set aside.
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
		j.compacting.wake()
	}
	return dst, nil
}

// Nak queues claimed packets again.
func (j *Journal) Nak(packets []*packet.Packet) {
	volume := packet.VolumeOf(packets)
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range slices.Backward(packets) {
		j.queues[residentFresh].PushFront(p)
	}
	j.stats.Claimed = j.stats.Claimed.Minus(volume)
	j.stats.Queued = j.stats.Queued.Plus(volume)
	j.signalReady()
}

// Ready receives a value after packets came into memory.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Ack ends claimed packets and releases them. It does not wait for the disk:
// after a crash the last of them may be handed out again.
func (j *Journal) Ack(packets []*packet.Packet) {
	j.mu.Lock()
	first := len(j.acked) == 0
	for _, p := range packets {
		j.ackLocked(p)
	}
	j.retireLocked()
	urgent := first && len(j.acked) > 0 || len(j.acked) >= acksPerRecord
	if j.backlog.Len() > 0 || len(j.obsolete) > 0 || j.needsRewriteLocked() {
		j.compacting.wake()
	}
	j.mu.Unlock()
	if urgent {
		j.committing.wake()
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

// Stats returns the books at one moment. Packets that were set aside because
// they cannot be read any more count as acknowledged, see Status.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	stats := j.stats
	stats.MemoryBytes = j.heldLocked()
	return stats
}

func (j *Journal) heldLocked() int64 { return j.held[residentFresh] + j.held[residentBacklog] }

// Status is what a person wants to know of a journal beside its books.
type Status struct {
	Bytes int64 // on disk
	// Oldest is when the oldest packet that is not acknowledged was accepted,
	// about; zero when there is none.
	Oldest time.Time
	// Unwritable is why packets are refused, nil while they are not.
	Unwritable error
	// SetAside are packets that this run found accepted and not delivered and
	// could not read back. They count as acknowledged in Stats when they were
	// readable at the start, and not at all when they were not.
	Quarantined packet.Volume
}

// Status may be called concurrently.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	status := Status{Bytes: j.bytesLocked(), Unwritable: j.unwritable, Quarantined: j.quarantined}
	if oldest := j.index.oldest(); oldest != 0 {
		status.Oldest = time.Unix(0, oldest)
	}
	return status
}

// Close commits what was taken, writes the last acknowledgements and gives the
// directory back. Acknowledgements that come later are not remembered.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if closed {
		return nil
	}
	j.compacting.shutDown()
	j.committing.shutDown()
	return j.lock.Close()
}

// announce tells a claimer that packets came into memory.
func (j *Journal) signalReady() {
	select {
	case j.ready <- struct{}{}:
	default:
	}
}
