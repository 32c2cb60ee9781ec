package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The first signal stops; signals within signalCoalescing count as the same
// one, and a later one has its default effect.
func TestSignalsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		var stops, backs atomic.Int32
		go stopOnSignal(signals, func() { stops.Add(1) }, func() { backs.Add(1) })
		for _, step := range []struct {
			after        time.Duration
			signal       bool
			stops, backs int32
		}{
			{after: time.Hour},
			{signal: true, stops: 1},
			{signal: true, stops: 1},
			{after: 249 * time.Millisecond, signal: true, stops: 1},
			{after: 2 * time.Millisecond, stops: 1, backs: 1},
		} {
			time.Sleep(step.after)
			if step.signal {
				select {
				case signals <- syscall.SIGTERM:
				default: // as package signal does
				}
			}
			synctest.Wait()
			if stops.Load() != step.stops || backs.Load() != step.backs {
				t.Fatalf("%+v: stopped %d times, restored signals %d times", step, stops.Load(), backs.Load())
			}
		}
	})
}
