package disk

import (
	"math/rand/v2"
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// sampledBlocks is the number of blocks on disk only from which Sample reads one packet each, up to
// blockBytes of each.
const sampledBlocks = 128

// sampledBlock is a copy of the fields of a block that sampling needs.
type sampledBlock struct {
	path          string
	offset, bytes int64
	count         uint64
	weight        float64 // number of packets that the sampled packet represents
}

// Sample implements journal.Journal. It reads packets that are on disk only without the lock; it
// draws no packet of a block that is removed meanwhile.
func (j *Journal) Sample(limit int, visit backlog.Visit) {
	reader := blockReader{files: j.files}
	defer reader.close()
	for _, b := range j.sampleMemory(limit, visit) {
		reader.sample(b, visit)
	}
}

// sampleMemory draws packets in memory, and returns blocks that are not in memory.
func (j *Journal) sampleMemory(limit int, visit backlog.Visit) (blocks []sampledBlock) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.queues {
		for at, weight := range backlog.Draw(j.queues[i].Len(), limit) {
			visit(j.queues[i].At(at), weight)
		}
	}
	for at, weight := range backlog.Draw(j.backlog.Len(), sampledBlocks) {
		if b := j.backlog.At(at); b.segment != nil {
			blocks = append(blocks, sampledBlock{b.segment.path, b.offset, b.bytes, b.count, weight * float64(b.volume.Packets)})
		}
	}
	return blocks
}

// sample draws one packet of a block.
func (r *blockReader) sample(b sampledBlock, visit backlog.Visit) {
	if r.use(b.path) != nil {
		return
	}
	r.scanner.reset(r.open, b.offset, b.offset+b.bytes)
	for left := rand.Uint64N(b.count); ; {
		found, ok := r.scanner.next()
		if !ok {
			return
		}
		if found.damaged || found.kind == kindAcks {
			continue
		}
		if left > 0 {
			left--
			continue
		}
		if info, err := packet.Recheck(found.body, int(found.messages)); err == nil {
			visit(&packet.Packet{Body: found.body, Info: info}, b.weight)
		}
		return
	}
}

// Oldest implements journal.Journal, for all packets that are not acknowledged.
func (j *Journal) Oldest() time.Time { return j.Status().Oldest }
