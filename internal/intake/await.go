package intake

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// CapacityTimeout is the maximum wait for capacity of requests whose protocol has no refusal that
// all clients handle.
const CapacityTimeout = 5 * time.Second

const (
	// maxWaiting bounds the requests that wait for capacity; their packets may take a quarter of
	// the memory.
	maxWaiting     = 256
	waitingDivisor = 4
	// The interval between two attempts doubles from the minimum to the maximum.
	minAwaitInterval = 5 * time.Millisecond
	maxAwaitInterval = 80 * time.Millisecond
)

// waiters bounds the requests that wait for capacity. It may be used concurrently.
type waiters struct {
	requests atomic.Int64
	bytes    atomic.Int64 // bytes of their packets
}

// AwaitCapacity is Admit, but waits for capacity until ctx ends.
func (i *Intake) AwaitCapacity(ctx context.Context, bytes int) Reason {
	var reason Reason
	_ = i.awaitCapacity(ctx, 0, func() error {
		if reason = i.Admit(bytes); reason == Overloaded || reason == NoAnalyzer {
			return journal.ErrFull
		}
		return nil
	})
	return reason
}

// AwaitMemory is Memory.Lend, but waits for capacity until ctx ends.
func (i *Intake) AwaitMemory(ctx context.Context, size int) (lent *packet.Packet, reason Reason) {
	_ = i.awaitCapacity(ctx, 0, func() error {
		if lent, reason = i.memory.Lend(size); reason == Overloaded {
			return journal.ErrFull
		}
		return nil
	})
	return lent, reason
}

// awaitCapacity calls try until it does not fail for lack of capacity or of analyzers, and returns
// its last error. held is the memory of the request's packets in bytes.
func (i *Intake) awaitCapacity(ctx context.Context, held int64, try func() error) error {
	err := try()
	if !isTemporary(err) || !i.waiters.enter(held, i.config.Load().MemoryBytes/waitingDivisor) {
		return err
	}
	defer i.waiters.leave(held)
	interval := minAwaitInterval
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
		interval = min(2*interval, maxAwaitInterval)
		timer.Reset(interval)
	}
}

// isTemporary reports whether an error may go away shortly.
func isTemporary(err error) bool {
	return errors.Is(err, journal.ErrFull) || errors.Is(err, errNoAnalyzer)
}

// enter reports whether a request may wait.
func (w *waiters) enter(held, maxBytes int64) bool {
	requests, bytes := w.requests.Add(1), w.bytes.Add(held)
	if requests <= maxWaiting && bytes <= maxBytes {
		return true
	}
	w.leave(held)
	return false
}

func (w *waiters) leave(held int64) {
	w.requests.Add(-1)
	w.bytes.Add(-held)
}
