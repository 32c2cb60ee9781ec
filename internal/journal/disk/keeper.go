package disk

import (
	"time"

	"logstreamer/internal/packet"
)

// keeper reads packets back into memory, moves stragglers and removes segments.
type keeper struct {
	journal *Journal
	reader  blockReader
	packets []*packet.Packet
	records []byte
}

func (k *keeper) run() {
	loop := k.journal.keeping
	defer k.reader.close()
	for !loop.ending() {
		if k.removeDead() || k.load() || k.moveStragglers() {
			continue
		}
		select {
		case <-loop.work:
		case <-loop.stop:
		}
	}
	k.removeDead()
}

// load reads the next block of the backlog into memory if it fits, and tells
// whether it did.
func (k *keeper) load() bool {
	b, estimate := k.journal.nextBlock()
	if b == nil {
		return false
	}
	k.packets = k.packets[:0]
	var err error
	for delay := firstRetry; ; delay *= 2 {
		if err = k.read(b); err == nil || delay > lastRetry || !k.pause(delay) {
			break
		}
	}
	if err != nil && k.journal.keeping.ending() {
		return true // it is still on disk, for the next start
	}
	k.journal.loaded(b, k.packets, estimate, err)
	return true
}

// read reads what is not acknowledged of a block.
func (k *keeper) read(b *block) error {
	for _, p := range k.packets {
		p.Release()
	}
	k.packets = k.packets[:0]
	return k.reader.read(b, func(found item) {
		info, err := packet.Check(found.body, int(found.messages))
		if err != nil {
			return
		}
		p := k.journal.pool.New(found.body, info)
		p.Traceparent = string(found.traceparent)
		p.Accepted = time.Unix(0, found.accepted)
		p.Sequence = found.sequence
		k.packets = append(k.packets, p)
	})
}

// pause waits before another try; it returns false when the journal closes.
func (k *keeper) pause(delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-k.journal.keeping.stop:
		return false
	}
}

// A packet's memory is not known before it is read; these make a safe guess.
const (
	footprintPerPacket = 768
	footprintPerByte   = 2
)

// nextBlock takes the next block of the backlog if there is room for it in
// memory, and accounts for the estimate of what it will hold there.
func (j *Journal) nextBlock() (b *block, estimate int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.backlog.Len() == 0 {
		return nil, 0
	}
	b = j.backlog.First()
	estimate = footprintPerPacket*b.volume.Packets + footprintPerByte*b.volume.Bytes
	limit := j.config.MemoryLimitBytes
	fits := j.heldLocked()+estimate <= limit && j.held[laneBacklog]+estimate <= limit/2
	if !fits && j.heldLocked() > 0 {
		return nil, 0
	}
	j.backlog.Pop()
	b.lane = laneBacklog
	j.held[laneBacklog] += estimate
	return b, estimate
}

// loaded puts packets that were read back behind those that wait already. What
// is missing of the block is set aside.
func (j *Journal) loaded(b *block, packets []*packet.Packet, estimate int64, err error) {
	j.mu.Lock()
	j.held[laneBacklog] -= estimate
	for _, p := range packets {
		j.held[laneBacklog] += p.Footprint()
		j.receipts.giveBack(p)
		j.restoreShareLocked(p)
		j.waiting[laneBacklog].Push(p)
	}
	var missing []uint64
	lost := b.volume.Minus(packet.VolumeOf(packets))
	if lost.Packets > 0 {
		missing = j.forgetLocked(b, packets, lost)
	}
	path := b.segment.path
	j.mu.Unlock()
	if len(packets) > 0 {
		j.announce()
	}
	if lost.Packets == 0 {
		return
	}
	j.metrics.quarantined.Add(float64(lost.Packets))
	j.logger.Error("accepted packets cannot be read back and are set aside with their segment",
		"segment", path, "offset", b.offset, "bytes", b.bytes, "packets", lost.Packets, "messages", lost.Messages,
		"first_sequence", missing[0], "last_sequence", missing[len(missing)-1], "error", err)
}

// forgetLocked ends the packets of a block that are not among those found and
// returns their sequences. Their segment is kept for a person to look at.
func (j *Journal) forgetLocked(b *block, found []*packet.Packet, lost packet.Volume) []uint64 {
	readable := make(map[uint64]bool, len(found))
	for _, p := range found {
		readable[p.Sequence] = true
	}
	var missing []uint64
	b.unacked(func(sequence uint64) {
		if !readable[sequence] {
			missing = append(missing, sequence)
		}
	})
	for _, sequence := range missing {
		j.index.ack(sequence)
		delete(j.receipts, sequence)
	}
	b.segment.unread = true
	j.books.Queued = j.books.Queued.Minus(lost)
	j.books.Acknowledged = j.books.Acknowledged.Plus(lost)
	j.books.Damaged = j.books.Damaged.Plus(lost)
	j.setAside = j.setAside.Plus(lost)
	j.retireLocked()
	return missing
}
