package worker

import (
	"context"
	"testing"
	"testing/synctest"
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
