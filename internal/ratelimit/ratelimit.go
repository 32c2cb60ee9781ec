// Package ratelimit bounds the messages per second of each emitter. Emitters
// that stay below their rate cost nothing: a bucket that is full is the same as
// none, so that only those who sent lately are remembered, and no more than a
// fixed number of them.
package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// Config is what users set.
type Config struct {
	// Rate is in messages per second; 0 is no limit.
	Rate float64
	// Burst is how many messages may come at once. A larger packet is taken
	// when nothing else was for as long as it needs to be paid off.
	Burst float64
}

// mostBuckets bounds how many emitters are remembered, in all shards.
const (
	shards      = 16
	mostBuckets = 1 << 16
	// looks is how many buckets are looked at to find one to forget.
	looks = 16
)

// Limiter holds the buckets. It may be used concurrently.
type Limiter struct {
	rate      float64       // messages per second
	tolerance time.Duration // Burst/Rate
	// began is what moments are counted from, so that a clock that is set
	// changes nothing.
	began  time.Time
	seed   maphash.Seed
	shards [shards]shard
}

// shard is a part of the buckets, by the emitter's hash.
type shard struct {
	mu sync.Mutex
	// full is when each bucket is full again (GCRA's theoretical arrival
	// time), counted from began. Two emitters with one hash share a bucket.
	full map[uint64]time.Duration
	_    [40]byte // keeps neighbours off this cache line
}

// New returns a limiter, or nil when there is no limit.
func New(config Config) *Limiter {
	if config.Rate <= 0 {
		return nil
	}
	l := &Limiter{rate: config.Rate, began: time.Now(), seed: maphash.MakeSeed()}
	l.tolerance = l.cost(config.Burst)
	for i := range l.shards {
		l.shards[i].full = make(map[uint64]time.Duration)
	}
	return l
}

// cost is how long messages take at the rate, at most a century.
func (l *Limiter) cost(messages float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	return time.Duration(min(messages/l.rate*float64(time.Second), float64(century)))
}

// Take charges an emitter for messages. When it is over its rate it is not
// charged, and wait is when the same messages would be taken. A nil Limiter
// takes everything.
func (l *Limiter) Take(emitterID []byte, messages int, now time.Time) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	hash := maphash.Bytes(l.seed, emitterID)
	s := &l.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now.Sub(l.began)
	full, known := s.full[hash]
	if !known || full < at {
		full = at
	}
	cost := l.cost(float64(messages))
	// A packet larger than the burst needs a full bucket, and leaves a debt.
	if excess := full - at + min(cost, l.tolerance) - l.tolerance; excess > 0 {
		return excess, false
	}
	if !known && len(s.full) >= mostBuckets/shards {
		s.forgetLocked(at)
	}
	s.full[hash] = full + cost
	return 0, true
}

// Return gives back what Take charged, for messages that were not accepted.
func (l *Limiter) Return(emitterID []byte, messages int) {
	if l == nil {
		return
	}
	hash := maphash.Bytes(l.seed, emitterID)
	s := &l.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if full, known := s.full[hash]; known {
		s.full[hash] = full - l.cost(float64(messages))
	}
}

// forgetLocked makes room for a bucket: those that are full go, or else, of a
// few, the one that is so soonest.
func (s *shard) forgetLocked(now time.Duration) {
	var soonest uint64
	var least time.Duration
	seen, removed := 0, 0
	for hash, full := range s.full {
		if full <= now {
			delete(s.full, hash)
			removed++
		} else if seen == 0 || full < least {
			soonest, least = hash, full
		}
		if seen++; seen == looks {
			break
		}
	}
	if removed == 0 {
		delete(s.full, soonest)
	}
}

// Buckets returns how many emitters are remembered.
func (l *Limiter) Buckets() int {
	if l == nil {
		return 0
	}
	sum := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		sum += len(s.full)
		s.mu.Unlock()
	}
	return sum
}
