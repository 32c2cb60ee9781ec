// Package ratelimit limits the messages per second of each emitter with token
// buckets. A full bucket is equivalent to none, so that only buckets of recently
// active emitters are stored, up to a fixed number.
package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// Rate is in messages per second; 0 is no limit.
	Rate float64 `env:"RATE_LIMIT" min:"0" zero:"none" reload:"live" help:"messages per second per emitter_id; 0 means no limit"`
	// Burst is the bucket size in messages. A larger packet needs a full bucket
	// and leaves a debt.
	Burst float64 `env:"RATE_BURST" min:"0" zero:"as much as RATE_LIMIT" reload:"live" help:"burst in messages per emitter_id; 0 means one second of RATE_LIMIT"`
}

const (
	shards = 16
	// maxBuckets is the maximum number of buckets in all shards.
	maxBuckets = 1 << 16
	// evictionSamples is the number of buckets sampled for an eviction.
	evictionSamples = 16
)

// Limiter limits emitters by their ids. It may be used concurrently.
type Limiter struct {
	rate      float64       // messages per second
	tolerance time.Duration // Burst/Rate
	start     time.Time     // its monotonic reading is the origin of all times
	seed      maphash.Seed
	shards    [shards]shard
}

// shard holds the buckets of a range of emitter hashes.
type shard struct {
	mu sync.Mutex // guards full
	// full holds the time from Limiter.start at which each bucket is full again
	// (GCRA's theoretical arrival time). Emitters with one hash share a bucket.
	full map[uint64]time.Duration
	_    [40]byte // padding against false sharing
}

// New returns a limiter, or nil when config sets no limit.
func New(config Config) *Limiter {
	if config.Rate <= 0 {
		return nil
	}
	l := &Limiter{rate: config.Rate, start: time.Now(), seed: maphash.MakeSeed()}
	l.tolerance = l.cost(config.Burst)
	for i := range l.shards {
		l.shards[i].full = make(map[uint64]time.Duration)
	}
	return l
}

// cost returns the time that messages take at the rate, at most a century.
func (l *Limiter) cost(messages float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	return time.Duration(min(messages/l.rate*float64(time.Second), float64(century)))
}

// Take charges an emitter for messages, or reports false and after what wait the
// same call would succeed. A nil Limiter always reports true.
func (l *Limiter) Take(emitterID []byte, messages int, now time.Time) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	hash := maphash.Bytes(l.seed, emitterID)
	s := &l.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now.Sub(l.start)
	full, known := s.full[hash]
	if !known || full < at {
		full = at
	}
	cost := l.cost(float64(messages))
	if excess := full - at + min(cost, l.tolerance) - l.tolerance; excess > 0 {
		return excess, false
	}
	if !known && len(s.full) >= maxBuckets/shards {
		s.evictLocked(at)
	}
	s.full[hash] = full + cost
	return 0, true
}

// Refund undoes a Take for messages that were not accepted.
func (l *Limiter) Refund(emitterID []byte, messages int) {
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

// evictLocked samples some buckets and removes the full ones, or, when none is
// full, the one that is full first.
func (s *shard) evictLocked(now time.Duration) {
	var victim uint64
	var earliest time.Duration
	sampled, removed := 0, 0
	for hash, full := range s.full {
		if full <= now {
			delete(s.full, hash)
			removed++
		} else if sampled == 0 || full < earliest {
			victim, earliest = hash, full
		}
		if sampled++; sampled == evictionSamples {
			break
		}
	}
	if removed == 0 {
		delete(s.full, victim)
	}
}
