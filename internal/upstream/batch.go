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
	// A request of flushSize packets is sent at once; a smaller one is sent no earlier
	// than linger after the previous request.
	flushSize int
	linger    time.Duration
}

// admits reports whether p may join the batch. A packet that spans lines is sent alone,
// and a batch has one trace. A packet of a failed request joins a batch of at most half
// the size, and only packets with the same bound.
func (b batchLimits) admits(batch []Delivery, volume packet.Volume, d Delivery) bool {
	if len(batch) == 0 {
		return true
	}
	maxPackets, first, p := maxSharing(d), batch[0].Packet, d.Packet
	return len(batch) < min(b.packets, maxPackets) && maxSharing(batch[0]) == maxPackets &&
		volume.Bytes+int64(len(p.Body)) <= maxBatchBytes &&
		first.Traceparent == p.Traceparent &&
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

// shrink reduces the size after a batch of n packets timed out or was too large.
func (b *batchSize) shrink(n int) {
	if n > 1 {
		b.packets.Store(max(1, int64(n)/4))
	}
}
