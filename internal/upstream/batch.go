package upstream

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// The batch size starts at one packet, so that an analyzer that is slow for each
	// packet never gets more packets than it handles within the timeout.
	initialBatchPackets = 1
	maxBatchPackets     = 1024
	maxBatchBytes       = 1 << 20
)

// batchLimits bounds the packets of one request and the time at which it may be sent.
type batchLimits struct {
	packets int
	traces  int // runs of packets with the same trace
	// A request of flushSize packets is sent at once; a smaller one is sent no earlier
	// than linger after the previous request.
	flushSize int
	linger    time.Duration
}

// batchContent is what a batch has so far.
type batchContent struct {
	volume packet.Volume
	traces int
}

// add notes the next packet; batch are those before it.
func (c *batchContent) add(batch []Delivery, d Delivery) {
	c.volume.Add(d.Packet)
	c.traces += newTrace(batch, d)
}

// newTrace returns 1 if the packet has another trace than the one before it, else 0.
func newTrace(batch []Delivery, d Delivery) int {
	if last := len(batch) - 1; last >= 0 && batch[last].Packet.Traceparent == d.Packet.Traceparent {
		return 0
	}
	return 1
}

// admits reports whether p may join the batch. A packet that spans lines is sent alone. A
// packet of a failed request joins a batch of at most half the size, and only packets with
// the same bound.
func (b batchLimits) admits(batch []Delivery, content batchContent, d Delivery) bool {
	if len(batch) == 0 {
		return true
	}
	maxPackets, first, p := maxSharing(d), batch[0].Packet, d.Packet
	return len(batch) < min(b.packets, maxPackets) && maxSharing(batch[0]) == maxPackets &&
		content.volume.Bytes+int64(p.Size()) <= maxBatchBytes &&
		content.traces+newTrace(batch, d) <= b.traces &&
		!p.SpansLines && (len(batch) > 1 || !first.SpansLines)
}

// maxSharing returns the maximum number of packets of a request that includes the packet: after a
// failure at most half of the failed batch, rounded down to a power of two.
func maxSharing(d Delivery) int {
	if d.Failures == nil {
		return math.MaxInt
	}
	return 1 << max(0, bits.Len(uint(d.Failures.LastBatchSize))-2)
}

// batchSize is the number of packets of a request to one analyzer. It doubles while full
// batches complete well within the timeout and shrinks when they do not. It is safe for
// concurrent use.
type batchSize struct {
	packets atomic.Int64
}

// adapt adjusts the size after a completed request of n packets.
func (b *batchSize) adapt(n int, took, timeout time.Duration) {
	now := b.packets.Load()
	switch {
	case took > timeout/4 && n > 1:
		b.packets.CompareAndSwap(now, max(1, int64(n)/2))
	case took < timeout/8 && int64(n) >= now && now < maxBatchPackets:
		b.packets.CompareAndSwap(now, now*2)
	}
}

// shrink reduces the size after a batch of n packets timed out, was too large, or was throttled again.
func (b *batchSize) shrink(n int) {
	if n > 1 {
		b.packets.Store(max(1, int64(n)/4))
	}
}
