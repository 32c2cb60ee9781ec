package disk

import (
	"slices"
	"sort"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// blockBytes is the maximum size of a block, the unit of reading back. A larger record
// has its own block.
const blockBytes = 256 << 10

// block is a range of packets with consecutive sequences and adjacent records in one
// segment. It is the index entry of all of them: a packet that is on disk only takes at
// most one bit of memory.
type block struct {
	segment      *segment // nil: the records are lost
	offset       int64    // of the first record
	bytes        int64    // to the end of the last record
	first        uint64
	count        uint64
	unackedCount uint64   // packets not acknowledged
	acked        []uint64 // bitmap by packet; nil while no packet is acknowledged
	oldest       int64    // time of acceptance of the first packet, nanoseconds since 1970
	// volume and records are the volume and the record bytes of the unacknowledged
	// packets. They are maintained while the block is on disk only.
	volume    packet.Volume
	records   int64
	residency residency
}

// residency is the place of a block's packets.
type residency uint8

const (
	residentOnDisk  residency = iota // on disk only
	residentFresh                    // in memory since Append
	residentBacklog                  // in memory, read back from disk
	residencies
)

func (b *block) end() uint64 { return b.first + b.count }

func (b *block) isAcked(sequence uint64) bool {
	if b.unackedCount == 0 || b.acked == nil {
		return b.unackedCount == 0
	}
	at := sequence - b.first
	return b.acked[at/64]>>(at%64)&1 == 1
}

// ack marks a packet acknowledged; it returns false if it was already.
func (b *block) ack(sequence uint64) bool {
	if b.isAcked(sequence) {
		return false
	}
	b.growAcked()
	at := sequence - b.first
	b.acked[at/64] |= 1 << (at % 64)
	b.unackedCount--
	if b.segment != nil {
		b.segment.unacked--
	}
	return true
}

// growAcked gives each packet a bit.
func (b *block) growAcked() {
	if words := int(b.count+63) / 64; len(b.acked) < words {
		b.acked = append(b.acked, make([]uint64, words-len(b.acked))...)
	}
}

// eachUnacked calls visit for each unacknowledged packet.
func (b *block) eachUnacked(visit func(sequence uint64)) {
	for sequence := b.first; sequence < b.end(); sequence++ {
		if !b.isAcked(sequence) {
			visit(sequence)
		}
	}
}

// location is the position and the metadata of a packet's record, or of a run of packets
// with adjacent records.
type location struct {
	segment   *segment
	offset    int64
	bytes     int64
	sequence  uint64 // of the first packet
	accepted  int64
	volume    packet.Volume
	residency residency
}

// index maps sequences of unacknowledged packets to their records. Journal.mu
// guards it.
type index struct {
	blocks      []*block // sorted by sequence, disjoint
	emptyBlocks int      // number of blocks without unacknowledged packets
	// copies has the packets that replay found in a copy only, a block for each.
	copies map[uint64]*block
}

// add adds packets, whose sequences must be the highest, and returns their block;
// opened reports whether the block is new.
func (x *index) add(p location) (b *block, opened bool) {
	if len(x.blocks) > 0 {
		last := x.blocks[len(x.blocks)-1]
		if last.segment == p.segment && last.residency == p.residency && last.end() == p.sequence &&
			last.unackedCount > 0 && p.offset+p.bytes-last.offset <= blockBytes {
			last.extend(p)
			return last, false
		}
	}
	b = newBlock(p)
	x.blocks = append(x.blocks, b)
	return b, true
}

func newBlock(p location) *block {
	p.segment.unacked += p.volume.Packets
	return &block{
		segment: p.segment, offset: p.offset, bytes: p.bytes,
		first: p.sequence, count: uint64(p.volume.Packets), unackedCount: uint64(p.volume.Packets),
		oldest: p.accepted, volume: p.volume, records: p.bytes, residency: p.residency,
	}
}

func (b *block) extend(p location) {
	b.bytes = p.offset + p.bytes - b.offset
	b.count += uint64(p.volume.Packets)
	b.unackedCount += uint64(p.volume.Packets)
	b.segment.unacked += p.volume.Packets
	b.volume = b.volume.Plus(p.volume)
	b.records += p.bytes
	if b.acked != nil {
		b.growAcked()
	}
}

// addLost adds packets without records, whose sequences must be the highest.
func (x *index) addLost(r sequenceRange) *block {
	b := &block{first: r.first, count: r.count, unackedCount: r.count}
	x.blocks = append(x.blocks, b)
	return b
}

// addCopy adds the copy of a packet that is neither acknowledged nor indexed with an
// earlier record.
func (x *index) addCopy(p location) {
	if x.copies[p.sequence] != nil {
		return
	}
	if b := x.find(p.sequence); b != nil {
		if b.segment != nil || !b.ack(p.sequence) {
			return
		}
		x.removeIfEmpty(b)
	}
	if x.copies == nil {
		x.copies = make(map[uint64]*block)
	}
	x.copies[p.sequence] = newBlock(p)
}

// find returns the block of a sequence, or nil.
func (x *index) find(sequence uint64) *block {
	if b := x.copies[sequence]; b != nil {
		return b
	}
	at := x.after(sequence) - 1
	if at < 0 || sequence >= x.blocks[at].end() {
		return nil
	}
	return x.blocks[at]
}

// after returns the position of the first block that begins after a sequence.
func (x *index) after(sequence uint64) int {
	return sort.Search(len(x.blocks), func(i int) bool { return x.blocks[i].first > sequence })
}

// ack acknowledges a packet and returns its block, or nil if the packet is not in
// the index.
func (x *index) ack(sequence uint64) *block {
	b := x.find(sequence)
	if b == nil || !b.ack(sequence) {
		return nil
	}
	x.removeIfEmpty(b)
	return b
}

// ackRange acknowledges the packets of a range that are in the index.
func (x *index) ackRange(r sequenceRange) {
	x.ackCopies(r)
	for at := max(0, x.after(r.first)-1); at < len(x.blocks) && x.blocks[at].first < r.end(); at++ {
		b := x.blocks[at]
		left := b.unackedCount
		for sequence := max(b.first, r.first); sequence < min(b.end(), r.end()); sequence++ {
			b.ack(sequence)
		}
		if left > 0 && b.unackedCount == 0 {
			b.acked = nil
			x.emptyBlocks++
		}
	}
	x.compact()
}

// ackCopies iterates over the copies or the range, whichever is smaller.
func (x *index) ackCopies(r sequenceRange) {
	if r.count < uint64(len(x.copies)) {
		for sequence := r.first; sequence < r.end(); sequence++ {
			if x.copies[sequence] != nil {
				x.ack(sequence)
			}
		}
		return
	}
	for sequence := range x.copies {
		if sequence >= r.first && sequence < r.end() {
			x.ack(sequence)
		}
	}
}

// removeIfEmpty removes an empty block: a copy's at once, others in batches.
func (x *index) removeIfEmpty(b *block) {
	if b.unackedCount > 0 {
		return
	}
	if x.copies[b.first] == b {
		delete(x.copies, b.first)
		return
	}
	b.acked = nil
	x.emptyBlocks++
	x.compact()
}

// compact removes the empty blocks when they are the majority.
func (x *index) compact() {
	if x.emptyBlocks > 64 && x.emptyBlocks > len(x.blocks)/2 {
		x.blocks = slices.DeleteFunc(x.blocks, func(b *block) bool { return b.unackedCount == 0 })
		x.emptyBlocks = 0
	}
}

// each yields the blocks with unacknowledged packets, copies first.
func (x *index) each(yield func(*block) bool) {
	sequences := make([]uint64, 0, len(x.copies))
	for sequence := range x.copies {
		sequences = append(sequences, sequence)
	}
	slices.Sort(sequences)
	for _, sequence := range sequences {
		if !yield(x.copies[sequence]) {
			return
		}
	}
	for _, b := range x.blocks {
		if b.unackedCount > 0 && !yield(b) {
			return
		}
	}
}

// oldest returns the approximate time at which the oldest packet was accepted, in
// nanoseconds since 1970, or 0 if the index is empty.
func (x *index) oldest() int64 {
	for b := range x.each {
		return b.oldest
	}
	return 0
}
