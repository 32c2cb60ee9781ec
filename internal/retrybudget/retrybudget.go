// Package retrybudget limits retries to a ratio of first sends, so that
// failures do not cause a retry storm.
package retrybudget

import (
	"sync"
	"time"
)

const (
	// Ratio is the maximum of retries per first send within Window.
	Ratio = 0.2
	// MinRetries is allowed within Window however few first sends there are, so
	// that an idle system recovers at once.
	MinRetries = 1000
	// Window is the length of the sliding window.
	Window = 10 * time.Second

	buckets = 10
)

// Budget counts packets. It may be used concurrently; the times passed to it
// must come from one clock.
type Budget struct {
	mu      sync.Mutex // guards all below
	first   [buckets + 1]int64
	retries [buckets + 1]int64
	start   time.Time // of bucket 0: the first call, with its monotonic reading
	current int64     // bucket number, from start
}

// RecordFirst counts packets that are sent for the first time.
func (b *Budget) RecordFirst(packets int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first[b.advanceLocked(now)] += int64(packets)
}

// Take charges up to packets retries and returns how many were granted.
func (b *Budget) Take(packets int, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.advanceLocked(now)
	granted := min(int64(packets), b.remainingLocked())
	b.retries[at] += granted
	return int(granted)
}

// TakeAll charges packets retries, or none, and reports whether it did.
func (b *Budget) TakeAll(packets int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.advanceLocked(now)
	if int64(packets) > b.remainingLocked() {
		return false
	}
	b.retries[at] += int64(packets)
	return true
}

// remainingLocked returns how many retries the window allows now.
func (b *Budget) remainingLocked() int64 {
	var first, retries int64
	for i := range b.first {
		first += b.first[i]
		retries += b.retries[i]
	}
	return max(0, max(MinRetries, int64(Ratio*float64(first)))-retries)
}

// advanceLocked clears expired buckets and returns the index of the current one.
func (b *Budget) advanceLocked(now time.Time) int64 {
	if b.start.IsZero() {
		b.start = now
	}
	bucket := int64(now.Sub(b.start) / (Window / buckets))
	for b.current < bucket {
		// At most len(b.first) buckets are cleared, however much time has passed.
		b.current = max(b.current+1, bucket-int64(len(b.first)))
		b.first[b.current%int64(len(b.first))] = 0
		b.retries[b.current%int64(len(b.retries))] = 0
	}
	return b.current % int64(len(b.first))
}
