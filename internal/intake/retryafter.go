package intake

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	maxSeconds = 60
	// MaxRetryAfter is the longest wait that RetryAfter returns.
	MaxRetryAfter = (maxSeconds + maxSeconds/2) * time.Second
)

// RetryAfter returns the wait in seconds of a request that is refused for a reason: at least 1,
// increased at random by up to a half, so that emitters that are refused together do not return
// together.
func (i *Intake) RetryAfter(reason Reason) int {
	wait := min(seconds(i.deps.RetryAfter(reason)), maxSeconds)
	wait += rand.IntN(wait/2 + 1)
	switch reason {
	case Overloaded, Shed:
		i.capacityWait.raise(wait)
	case JournalUnwritable:
		i.diskWait.raise(wait)
	}
	return wait
}

// seconds rounds a wait up to seconds, at least 1.
func seconds(wait time.Duration) int {
	return int(max((wait+time.Second-1)/time.Second, 1))
}

// MaxRetryAfters returns the longest waits that RetryAfter has returned since the last call: for lack
// of capacity, and because the journal could not be written. 0 means that it has returned none.
func (i *Intake) MaxRetryAfters() (capacity, disk time.Duration) {
	return i.capacityWait.take(), i.diskWait.take()
}

// maxWait is the maximum of the recorded waits. It may be used concurrently.
type maxWait struct{ seconds atomic.Int64 }

func (w *maxWait) raise(seconds int) {
	for {
		old := w.seconds.Load()
		if old >= int64(seconds) || w.seconds.CompareAndSwap(old, int64(seconds)) {
			return
		}
	}
}

// take returns the maximum and resets it.
func (w *maxWait) take() time.Duration { return time.Duration(w.seconds.Swap(0)) * time.Second }
