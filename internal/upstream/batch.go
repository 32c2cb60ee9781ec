package upstream

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// A batch grows from one packet, so that even an analyzer that takes long
	// over each packet never gets more than it handles in time.
	firstBatchPackets   = 1
	largestBatchPackets = 1024
	largestBatchBytes   = 1 << 20
)

// batchLimits bound what one request carries, and tell when it may begin.
type batchLimits struct {
	packets int
	// enough is how many packets make a request worth its while at any time;
	// with fewer it begins spacing after the one before, at the earliest.
	enough  int
	spacing time.Duration
}

// admits tells whether p may join a batch. A packet that spans lines, or that
// belongs to another trace than its neighbours, travels in a request of its own;
// one with which a request failed has half the company that it had, of its like.
func (b batchLimits) admits(batch []*packet.Packet, volume packet.Volume, p *packet.Packet) bool {
	if len(batch) == 0 {
		return true
	}
	company := companyOf(p)
	return len(batch) < min(b.packets, company) && companyOf(batch[0]) == company &&
		volume.Bytes+int64(len(p.Body)) <= largestBatchBytes &&
		batch[0].Traceparent == p.Traceparent &&
		!p.SpansLines && (len(batch) > 1 || !batch[0].SpansLines)
}

// companyOf is how many packets may share a request with p, itself included: after
// a failure at most half of those that did, as a power of two.
func companyOf(p *packet.Packet) int {
	if p.Failures == nil {
		return math.MaxInt
	}
	return 1 << max(0, bits.Len(uint(p.Failures.LastBatchSize))-2)
}

func endsLine(p *packet.Packet) bool { return p.Body[len(p.Body)-1] == '\n' }

// batchSize finds how many packets a request to one analyzer should carry: as
// many as it handles well within the timeout. It may be used concurrently.
type batchSize struct {
	packets atomic.Int64
}

// adapt learns from one answered request of n packets.
func (b *batchSize) adapt(n int, took, timeout time.Duration) {
	now := b.packets.Load()
	switch {
	case took > timeout/4 && n > 1:
		b.packets.CompareAndSwap(now, max(1, int64(n)/2))
	case took < timeout/8 && int64(n) >= now && now < largestBatchPackets:
		b.packets.CompareAndSwap(now, now*2)
	}
}

// shrink follows a batch that was not answered in time, or was too large.
func (b *batchSize) shrink(n int) {
	if n > 1 {
		b.packets.Store(max(1, int64(n)/4))
	}
}
