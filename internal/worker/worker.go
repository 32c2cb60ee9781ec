// Package worker controls goroutines that work on demand, or after a time.
package worker

import (
	"context"
	"sync"
	"time"
)

// Worker is a goroutine that works when it is woken, until it is stopped. Go must be called
// once, before Stop; the other methods may be called concurrently.
type Worker struct {
	wake    Signal
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// New returns a worker without a goroutine.
func New() *Worker {
	w := &Worker{wake: NewSignal()}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Go starts the goroutine, whose context ends when Stop is called.
func (w *Worker) Go(run func(ctx context.Context)) { w.running.Go(func() { run(w.ctx) }) }

// Wake makes the goroutine check for work, without waiting.
func (w *Worker) Wake() { w.wake.Notify() }

// Woken receives a value after Wake was called, one for several calls if it was not received
// between them.
func (w *Worker) Woken() <-chan struct{} { return w.wake }

// Stop stops the goroutine and waits for its end.
func (w *Worker) Stop() {
	w.cancel()
	w.running.Wait()
}

// Poll calls done every few milliseconds until it returns true, and reports false if ctx ends
// before.
func Poll(ctx context.Context, done func() bool) bool {
	const interval = 5 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

// Sleep waits, and reports false if ctx ends before.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
