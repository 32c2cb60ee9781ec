package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Several calls of Wake are at most one more round, and Stop waits for the goroutine.
func TestWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		rounds, ended := 0, false
		w.Wake()
		w.Go(func(ctx context.Context) {
			for ctx.Err() == nil {
				select {
				case <-w.Woken():
					rounds++
				case <-ctx.Done():
				}
			}
			ended = true
		})
		synctest.Wait()
		if rounds != 1 {
			t.Errorf("%d rounds after a call before the start", rounds)
		}
		for range 3 {
			w.Wake()
		}
		synctest.Wait()
		if rounds < 2 || rounds > 4 {
			t.Errorf("%d rounds after three more calls", rounds)
		}
		if w.Stop(); !ended {
			t.Error("Stop has not waited")
		}
		w.Wake() // does not block
		w.Wake()
	})
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		if !Poll(ctx, func() bool { calls++; return calls == 3 }) || calls != 3 {
			t.Errorf("not done after %d calls", calls)
		}
		if Poll(ctx, func() bool { return false }) || ctx.Err() == nil {
			t.Error("it is done before its context has ended")
		}
		if !Poll(ctx, func() bool { return true }) {
			t.Error("it does not look once after the end of its context")
		}
	})
}
