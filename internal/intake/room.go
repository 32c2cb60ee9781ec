package intake

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// RoomTimeout is how long requests of protocols wait for capacity that have no refusal which
// all their clients survive.
const RoomTimeout = 5 * time.Second

const (
	// maxWaiting requests wait for capacity, with packets of a quarter of the memory.
	maxWaiting     = 256
	waitingDivisor = 4
	// The interval between two attempts doubles.
	minRoomInterval = 5 * time.Millisecond
	maxRoomInterval = 80 * time.Millisecond
)

// room bounds the requests that wait for capacity. It may be used concurrently.
type room struct {
	requests atomic.Int64
	bytes    atomic.Int64 // of their packets
}

// AwaitRoom is Admit for requests that may wait for capacity until ctx ends.
func (i *Intake) AwaitRoom(ctx context.Context, bytes int) Reason {
	var reason Reason
	_ = i.awaitRoom(ctx, 0, func() error {
		if reason = i.Admit(bytes); reason == Overloaded || reason == NoAnalyzer {
			return journal.ErrFull
		}
		return nil
	})
	return reason
}

// LendWithRoom is Memory.Lend for requests that may wait for capacity until ctx ends.
func (i *Intake) LendWithRoom(ctx context.Context, size int) (lent *packet.Packet, reason Reason) {
	_ = i.awaitRoom(ctx, 0, func() error {
		if lent, reason = i.memory.Lend(size); reason == Overloaded {
			return journal.ErrFull
		}
		return nil
	})
	return lent, reason
}

// awaitRoom calls try until it does not fail for a lack of capacity or of analyzers, and
// returns its last error. The packets of the request hold that many bytes of the memory.
func (i *Intake) awaitRoom(ctx context.Context, held int64, try func() error) error {
	err := try()
	if !isTemporary(err) || !i.room.enter(held, i.config.Load().MemoryBytes/waitingDivisor) {
		return err
	}
	defer i.room.leave(held)
	interval := minRoomInterval
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return err
		case <-timer.C:
		}
		if err = try(); !isTemporary(err) {
			return err
		}
		interval = min(2*interval, maxRoomInterval)
		timer.Reset(interval)
	}
}

// isTemporary reports whether an error may go away shortly.
func isTemporary(err error) bool {
	return errors.Is(err, journal.ErrFull) || errors.Is(err, errNoAnalyzer)
}

// enter reports whether a request may wait.
func (r *room) enter(held, maxBytes int64) bool {
	requests, bytes := r.requests.Add(1), r.bytes.Add(held)
	if requests <= maxWaiting && bytes <= maxBytes {
		return true
	}
	r.leave(held)
	return false
}

func (r *room) leave(held int64) {
	r.requests.Add(-1)
	r.bytes.Add(-held)
}
