package disk

import (
	"context"
	"errors"
	"time"

	"github.com/logstreamer/logstreamer/internal/emitterquota"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// compactor reads packets back into memory, rewrites live records and removes
// segments.
type compactor struct {
	journal *Journal
	reader  blockReader
	packets []*packet.Packet
	records []byte

	retry     *time.Timer // runs after a failure
	suspended task        // until the retry timer
	failing   task        // tasks that failed last time, logged
}

// task is a set of the compactor's tasks.
type task uint8

const (
	removing task = 1 << iota
	loading
	rewriting
)

func newCompactor(j *Journal) *compactor {
	k := &compactor{journal: j, reader: blockReader{files: j.files}, retry: time.NewTimer(time.Hour)}
	k.retry.Stop()
	return k
}

func (k *compactor) run(ctx context.Context) {
	defer k.reader.close()
	defer k.retry.Stop()
	for ctx.Err() == nil {
		if k.due(removing) && k.removeObsolete() || k.due(loading) && k.load(ctx) || k.due(rewriting) && k.rewriteOldest() {
			continue
		}
		select {
		case <-k.journal.compacting.Woken():
		case <-ctx.Done():
		case <-k.retry.C:
			k.suspended = 0
		}
	}
	k.removeObsolete()
}

func (k *compactor) due(t task) bool { return k.suspended&t == 0 }

// failed suspends a task until the retry timer and logs the first of consecutive
// failures.
func (k *compactor) failed(t task, what string, s *segment, err error) {
	if k.suspended == 0 {
		k.retry.Reset(maxRetryDelay)
	}
	if k.failing&t == 0 {
		k.journal.logger.Warn(what, "segment", s.path, "error", err)
	}
	k.suspended |= t
	k.failing |= t
}

// succeeded ends a series of failures.
func (k *compactor) succeeded(t task) { k.failing &^= t }

// load reads the next block of the backlog into memory and reports whether the backlog
// has changed.
func (k *compactor) load(ctx context.Context) bool {
	b, estimate := k.journal.nextBlock()
	if b == nil {
		return false
	}
	k.packets = k.packets[:0]
	var err error
	for delay := minRetryDelay; ; delay *= 2 {
		if err = k.read(b); err == nil || delay > maxRetryDelay || !worker.Sleep(ctx, delay) {
			break
		}
	}
	if err != nil && ctx.Err() != nil {
		return true // the block is still on disk, for the next start
	}
	if unopened := (*unopenedError)(nil); errors.As(err, &unopened) && !isNotExist(err) {
		k.journal.requeueBlock(b, estimate)
		k.failed(loading, "accepted packets cannot be read back now, retrying", b.segment, err)
		return false
	}
	k.succeeded(loading)
	k.journal.addLoaded(b, k.packets, estimate, k.setAside(b), err)
	return true
}

// quarantining tells what the quarantine has of a block whose packets are not all read.
type quarantining struct {
	known bool // since an earlier start
	whole bool // all that was not read, so that the segment need not be kept
}

// setAside copies the damaged parts of the block that was read to the quarantine.
// It logs them once, also over restarts.
func (k *compactor) setAside(b *block) quarantining {
	damages := k.reader.damages
	text := noneLost
	if uint64(len(k.packets)) < b.unackedCount {
		text = "a part of the journal is damaged; the next message names the lost packets"
	}
	found := quarantining{known: len(damages) > 0, whole: len(damages) > 0}
	for _, d := range damages {
		if d.Unread {
			return quarantining{}
		}
		fresh, err := k.journal.setAside(d)
		if fresh {
			k.journal.logger.Warn(text, d.attributes()...)
		}
		found.known = found.known && !fresh
		found.whole = found.whole && err == nil
	}
	return found
}

// read reads the unacknowledged packets of a block into k.packets.
func (k *compactor) read(b *block) error {
	for _, p := range k.packets {
		p.Release()
	}
	k.packets = k.packets[:0]
	return k.reader.read(b, func(found item) {
		info, err := packet.Recheck(found.body, int(found.messages))
		if err != nil {
			d := found.damage(b.segment.path)
			d.Reason = err.Error()
			k.reader.damages = append(k.reader.damages, d)
			return
		}
		p := k.journal.pool.New(found.body, info)
		p.Traceparent = string(found.traceparent)
		p.Accepted = time.Unix(0, found.accepted)
		p.Sequence = found.sequence
		p.Slot = emitterquota.SlotOf(found.tag, p)
		k.packets = append(k.packets, p)
	})
}

// Upper estimates of a packet's memory before it is read.
const (
	footprintPerPacket = 768
	footprintPerByte   = 2
)

// footprint returns the upper estimate of the memory of the unacknowledged packets.
func (b *block) footprint() int64 {
	if b.volume.Packets == 1 {
		return packet.FootprintOf(int(b.volume.Bytes))
	}
	return footprintPerPacket*b.volume.Packets + footprintPerByte*b.volume.Bytes
}

// nextBlock removes the next block from the backlog if it fits into memory, and
// reserves the estimate of its memory. One block may exceed the backlog's half of the
// memory, so that a large packet does not block those behind it.
func (j *Journal) nextBlock() (b *block, estimate int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.backlog.Len() == 0 {
		return nil, 0
	}
	b = j.backlog.First()
	estimate = b.footprint()
	limit := j.config.MemoryLimitBytes
	fits := j.heldLocked()+estimate <= limit && (j.held[residentBacklog] == 0 || j.held[residentBacklog]+estimate <= limit/2)
	if !fits && j.heldLocked() > 0 {
		return nil, 0
	}
	j.backlog.Pop()
	b.residency = residentBacklog
	j.held[residentBacklog] += estimate
	return b, estimate
}

// requeueBlock undoes nextBlock.
func (j *Journal) requeueBlock(b *block, estimate int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b.residency = residentOnDisk
	j.held[residentBacklog] -= estimate
	j.backlog.PushFront(b)
}

// addLoaded queues packets that were read back. It quarantines the packets of the block that are
// missing, and their segment instead of removing it, unless the quarantine has them.
func (j *Journal) addLoaded(b *block, packets []*packet.Packet, estimate int64, q quarantining, err error) {
	j.mu.Lock()
	j.held[residentBacklog] -= estimate
	for _, p := range packets {
		j.held[residentBacklog] += p.Footprint()
		j.deliveryChans.restore(p)
		j.restoreQuotaLocked(p)
		j.queues[residentBacklog].Push(p)
	}
	missing := missingOf(b, packets)
	lost := j.lostLocked(b, packets, missing)
	if len(missing) > 0 {
		b.segment.unread = b.segment.unread || !q.whole
		if !q.known {
			j.quarantined = j.quarantined.Plus(lost)
		}
		j.dropMissingLocked(missing, lost)
	}
	j.releaseLostQuotaLocked()
	path := b.segment.path
	j.mu.Unlock()
	if len(packets) > 0 {
		j.ready.Notify()
	}
	if len(missing) == 0 {
		return
	}
	if !q.known {
		j.metrics.quarantined.Add(float64(lost.Packets))
	}
	j.logger.Error("accepted packets cannot be read back and are quarantined",
		"segment", path, "offset", b.offset, "bytes", b.bytes, "packets", lost.Packets, "messages", lost.Messages,
		"first_sequence", missing[0], "last_sequence", missing[len(missing)-1], "error", err)
}

// missingOf returns the unacknowledged sequences of a block that are not among the
// packets found, which are in order.
func missingOf(b *block, found []*packet.Packet) []uint64 {
	if b.unackedCount == uint64(len(found)) {
		return nil
	}
	var missing []uint64
	b.eachUnacked(func(sequence uint64) {
		if len(found) > 0 && found[0].Sequence == sequence {
			found = found[1:]
			return
		}
		missing = append(missing, sequence)
	})
	return missing
}

// lostLocked returns the volume of the missing packets, and corrects the statistics of
// a block that could not be counted at the start.
func (j *Journal) lostLocked(b *block, found []*packet.Packet, missing []uint64) packet.Volume {
	held := packet.VolumeOf(found)
	rest := b.volume.Minus(held)
	lost := packet.Volume{Packets: int64(len(missing)), Messages: max(rest.Messages, 0), Bytes: max(rest.Bytes, 0)}
	if len(missing) == 0 {
		lost = packet.Volume{}
	}
	correction := held.Plus(lost).Minus(b.volume)
	j.stats.Accepted = j.stats.Accepted.Plus(correction)
	j.stats.Queued = j.stats.Queued.Plus(correction)
	records := int64(0)
	for _, p := range found {
		records += recordBytes(p)
	}
	j.liveBytes += records - b.records
	return lost
}

// dropMissingLocked ends the missing packets of a block.
func (j *Journal) dropMissingLocked(missing []uint64, lost packet.Volume) {
	for _, sequence := range missing {
		j.index.ack(sequence)
		delete(j.deliveryChans, sequence)
	}
	j.stats.Queued = j.stats.Queued.Minus(lost)
	j.stats.Acknowledged = j.stats.Acknowledged.Plus(lost)
	j.stats.Damaged = j.stats.Damaged.Plus(lost)
	j.retireLocked()
}
