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
// one, and a later one exits.
func TestSignalsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 1)
		var stops, exits atomic.Int32
		go stopOnSignal(signals, func() { stops.Add(1) }, func(os.Signal) { exits.Add(1) })
		for _, step := range []struct {
			after        time.Duration
			signal       bool
			stops, exits int32
		}{
			{after: time.Hour},
			{signal: true, stops: 1},
			{signal: true, stops: 1},
			{after: signalCoalescing - time.Millisecond, signal: true, stops: 1},
			{after: time.Hour, stops: 1},
			{signal: true, stops: 1, exits: 1},
		} {
			time.Sleep(step.after)
			if step.signal {
				select {
				case signals <- syscall.SIGTERM:
				default: // as package signal does
				}
			}
			synctest.Wait()
			if stops.Load() != step.stops || exits.Load() != step.exits {
				t.Fatalf("%+v: stopped %d times, exited %d times", step, stops.Load(), exits.Load())
			}
		}
	})
}
