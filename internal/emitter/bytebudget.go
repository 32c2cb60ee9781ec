package emitter

import (
	"context"
	"sync"
)

// byteBudget bounds the bytes of pending packets. One goroutine acquires, any
// may release.
type byteBudget struct {
	limit int
	freed chan struct{}

	mu   sync.Mutex
	used int // guarded by mu
}

func newByteBudget(limit int) *byteBudget {
	return &byteBudget{limit: limit, freed: make(chan struct{}, 1)}
}

// acquire waits until bytes are available; a packet larger than the limit is
// admitted when nothing else is pending. It returns false when ctx is done
// first.
func (b *byteBudget) acquire(ctx context.Context, bytes int) bool {
	for {
		if b.tryAcquire(bytes) {
			return true
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (b *byteBudget) tryAcquire(bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > 0 && b.used+bytes > b.limit {
		return false
	}
	b.used += bytes
	return true
}

func (b *byteBudget) release(bytes int) {
	b.mu.Lock()
	b.used -= bytes
	b.mu.Unlock()
	select {
	case b.freed <- struct{}{}:
	default:
	}
}
