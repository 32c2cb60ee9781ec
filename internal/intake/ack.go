package intake

import (
	"context"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Ack is the level at which an emitter is answered.
type Ack string

// The levels. A level may be answered as a stronger one: a journal that stores packets answers
// AckQueued when they are stored.
const (
	// AckQueued: the packet is in a queue.
	AckQueued Ack = "queued"
	// AckStored: the packet is on stable storage.
	AckStored Ack = "stored"
	// AckDelivered: an analyzer accepted the packet.
	AckDelivered Ack = "delivered"
)

// Acks lists the levels.
func Acks() []string { return []string{string(AckQueued), string(AckStored), string(AckDelivered)} }

// awaitDeliveries receives the results of the packets that come before the timeout and before the
// context ends.
func awaitDeliveries(ctx context.Context, results <-chan packet.DeliveryResult, packets int, timeout time.Duration) []packet.DeliveryResult {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var received []packet.DeliveryResult
	for len(received) < packets {
		select {
		case r := <-results:
			received = append(received, r)
		case <-timer.C:
			return received
		case <-ctx.Done():
			return received
		}
	}
	return received
}
