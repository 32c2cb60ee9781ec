package emitter

import (
	"context"
	"sync"
)

// room bounds the bytes of packets that were produced and are not settled. One
// goroutine takes, any may give back.
type room struct {
	limit int
	freed chan struct{}

	mu   sync.Mutex
	used int // guarded by mu
}

func newRoom(limit int) *room {
	return &room{limit: limit, freed: make(chan struct{}, 1)}
}

// take waits until there is room for that many bytes; a packet larger than the
// whole room has it alone. It returns false when ctx ended first.
func (r *room) take(ctx context.Context, bytes int) bool {
	for {
		if r.tryTake(bytes) {
			return true
		}
		select {
		case <-r.freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (r *room) tryTake(bytes int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used > 0 && r.used+bytes > r.limit {
		return false
	}
	r.used += bytes
	return true
}

func (r *room) give(bytes int) {
	r.mu.Lock()
	r.used -= bytes
	r.mu.Unlock()
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
