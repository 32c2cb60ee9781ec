package ingest

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
)

const (
	maxSeconds = 60
	// LongestRetryAfter is the longest wait that emitters are told.
	LongestRetryAfter = (maxSeconds + maxSeconds/2) * time.Second
)

// retryAfter returns the seconds to name, at least 1 and up to half as many
// again at random, so that emitters that are refused together do not return
// together.
func (h *Handler) retryAfter(code problem.Code) int {
	wait := min(seconds(h.deps.RetryAfter(code)), maxSeconds)
	wait += rand.IntN(wait/2 + 1)
	switch code {
	case problem.Overloaded, problem.Shed:
		h.waitsForRoom.raise(wait)
	case problem.JournalUnwritable:
		h.waitsForDisk.raise(wait)
	}
	return wait
}

// seconds rounds a wait up to what Retry-After can say, which is at least 1.
func seconds(wait time.Duration) int {
	return int(max((wait+time.Second-1)/time.Second, 1))
}

// WaitsGiven returns the longest waits that were named to emitters since it was
// last called: for lack of room, and because the journal could not be written. 0
// is none.
func (h *Handler) WaitsGiven() (room, disk time.Duration) {
	return h.waitsForRoom.take(), h.waitsForDisk.take()
}

// longest is the longest of some deadlines. It may be used concurrently.
type longest struct{ seconds atomic.Int64 }

func (l *longest) raise(seconds int) {
	for {
		is := l.seconds.Load()
		if is >= int64(seconds) || l.seconds.CompareAndSwap(is, int64(seconds)) {
			return
		}
	}
}

// take returns it, and begins anew.
func (l *longest) take() time.Duration { return time.Duration(l.seconds.Swap(0)) * time.Second }
