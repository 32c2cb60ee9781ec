// Package budget bounds how much is sent again: at most a part of what is sent
// for the first time, so that trouble is not answered with a storm.
package budget

import (
	"sync"
	"time"
)

const (
	// Share is the part of fresh sends within the window that may be sent
	// again.
	Share = 0.2
	// Least may be sent again within the window however little is fresh, so
	// that a quiet system recovers at once.
	Least = 1000
	// Window is the time that counts.
	Window = 10 * time.Second

	buckets = 10
)

// Budget counts packets. It may be used concurrently; the times given to it
// come from one clock.
type Budget struct {
	mu     sync.Mutex // guards all below
	fresh  [buckets + 1]int64
	again  [buckets + 1]int64
	began  time.Time // the time of the first call; the monotonic time since counts
	latest int64     // the bucket that counts now, since then
}

// Fresh notes packets that are sent for the first time.
func (b *Budget) Fresh(packets int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fresh[b.turnLocked(now)] += int64(packets)
}

// Spend asks to send up to that many packets again and returns how many may be.
func (b *Budget) Spend(packets int, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.turnLocked(now)
	granted := min(int64(packets), b.leftLocked())
	b.again[at] += granted
	return int(granted)
}

// SpendAll asks to send all of those packets again, or none.
func (b *Budget) SpendAll(packets int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.turnLocked(now)
	if int64(packets) > b.leftLocked() {
		return false
	}
	b.again[at] += int64(packets)
	return true
}

// leftLocked returns how many packets may be sent again now.
func (b *Budget) leftLocked() int64 {
	var fresh, again int64
	for i := range b.fresh {
		fresh += b.fresh[i]
		again += b.again[i]
	}
	return max(0, max(Least, int64(Share*float64(fresh)))-again)
}

// turnLocked empties the buckets whose time is over and returns the present one.
func (b *Budget) turnLocked(now time.Time) int64 {
	if b.began.IsZero() {
		b.began = now
	}
	bucket := int64(now.Sub(b.began) / (Window / buckets))
	for b.latest < bucket {
		// No more than all buckets have to be emptied, however long ago it was.
		b.latest = max(b.latest+1, bucket-int64(len(b.fresh)))
		b.fresh[b.latest%int64(len(b.fresh))] = 0
		b.again[b.latest%int64(len(b.again))] = 0
	}
	return b.latest % int64(len(b.fresh))
}
