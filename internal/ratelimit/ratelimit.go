// Package ratelimit limits the messages per second of each emitter with token
// buckets. A full bucket is equivalent to none, so that only buckets of recently
// active emitters are stored, up to a fixed number.
package ratelimit

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// Rate is in messages per second; 0 is no limit.
	Rate float64 `env:"RATE_LIMIT" min:"0" zero:"none" reload:"live" help:"messages per second per emitter_id; 0 means no limit"`
	// Burst is the bucket size in messages. A larger packet needs a full bucket
	// and leaves a debt.
	Burst float64 `env:"RATE_BURST" min:"0" zero:"as much as RATE_LIMIT" reload:"live" help:"burst in messages per emitter_id; 0 means one second of RATE_LIMIT"`
	// Scope is ScopeDistributor or ScopeCluster.
	Scope string `env:"RATE_LIMIT_SCOPE" enum:"distributor,cluster" reload:"live" help:"whether RATE_LIMIT, RATE_BURST and LIMITS are those of each distributor, or of all that share the streams of JOURNAL=jetstream: each of n that are there allows 1/n"`
	// Limits override Rate and Burst for single emitters.
	Limits Limits `env:"LIMITS" reload:"live" help:"limits of single emitters that override RATE_LIMIT and RATE_BURST, such as [{\"emitter\":\"web-1\",\"rate\":100,\"burst\":500}]"`
}

// What the limits are for.
const (
	ScopeDistributor = "distributor"
	ScopeCluster     = "cluster"
)

// Part returns the part of the limits that one of several distributors allows.
func (c Config) Part(distributors int) Config {
	if c.Scope != ScopeCluster || distributors <= 1 {
		return c
	}
	n := float64(distributors)
	c.Rate, c.Burst = c.Rate/n, c.Burst/n
	c.Limits = slices.Clone(c.Limits)
	for i := range c.Limits {
		c.Limits[i].Rate, c.Limits[i].Burst = c.Limits[i].Rate/n, c.Limits[i].Burst/n
	}
	return c
}

const (
	shards = 16
	// maxBuckets is the maximum number of buckets in all shards.
	maxBuckets = 1 << 16
	// evictionSamples is the number of buckets sampled for an eviction.
	evictionSamples = 16
)

// Limiter limits emitters by their ids. It may be used concurrently. A nil Limiter sets no
// limits.
type Limiter struct {
	settings atomic.Pointer[settings]
	start    time.Time // its monotonic reading is the origin of all times
	seed     maphash.Seed
	shards   [shards]shard
}

// settings are a Config. They do not change.
type settings struct {
	common rate
	single map[string]rate // by emitter
}

// rate is a limit; the zero value is none.
type rate struct {
	perSecond float64       // messages
	tolerance time.Duration // burst/perSecond
}

func newRate(perSecond, burst float64) rate {
	if perSecond <= 0 {
		return rate{}
	}
	if burst == 0 {
		burst = perSecond
	}
	r := rate{perSecond: perSecond}
	r.tolerance = r.cost(burst)
	return r
}

// century bounds times.
const century = 100 * 365 * 24 * time.Hour

// cost returns the time that messages take at the rate, at most a century.
func (r rate) cost(messages float64) time.Duration {
	return time.Duration(min(messages/r.perSecond*float64(time.Second), float64(century)))
}

// of returns the limit of an emitter.
func (s *settings) of(emitterID []byte) rate {
	if len(s.single) > 0 {
		if r, ok := s.single[string(emitterID)]; ok {
			return r
		}
	}
	return s.common
}

// shard holds the buckets of a range of emitter hashes.
type shard struct {
	mu sync.Mutex // guards buckets
	// Emitters with one hash share a bucket.
	buckets map[uint64]bucket
	_       [40]byte // padding against false sharing
}

// bucket is the state of an emitter.
type bucket struct {
	// full is the time from Limiter.start at which the bucket is full again (GCRA's
	// theoretical arrival time) at the rate.
	full      time.Duration
	perSecond float64
}

// at returns the bucket at another rate: what is missing of it in messages stays.
func (b bucket) at(perSecond float64, now time.Duration) bucket {
	if b.perSecond != perSecond && b.full > now {
		missing := float64(b.full-now) * (b.perSecond / perSecond)
		b.full = now + time.Duration(min(missing, float64(century)))
	}
	b.perSecond = perSecond
	return b
}

// New returns a limiter.
func New(config Config) *Limiter {
	l := &Limiter{start: time.Now(), seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].buckets = make(map[uint64]bucket)
	}
	l.settings.Store(newSettings(config))
	return l
}

func newSettings(config Config) *settings {
	s := &settings{common: newRate(config.Rate, config.Burst)}
	if len(config.Limits) > 0 {
		s.single = make(map[string]rate, len(config.Limits))
	}
	for _, one := range config.Limits {
		s.single[one.Emitter] = newRate(one.Rate, one.Burst)
	}
	return s
}

// Configure replaces the limits. What emitters have used of their bursts stays used, in
// messages.
func (l *Limiter) Configure(config Config) {
	next := newSettings(config)
	before := l.settings.Swap(next).common.perSecond
	after := next.common.perSecond
	if before == after || before == 0 || after == 0 {
		return // all other buckets change when they are used next
	}
	now := time.Since(l.start)
	for i := range l.shards {
		l.shards[i].change(before, after, now)
	}
}

// change changes the buckets of one rate to another.
func (s *shard) change(before, after float64, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, b := range s.buckets {
		if b.perSecond == before {
			s.buckets[hash] = b.at(after, now)
		}
	}
}

// Limits reports whether any emitter is limited.
func (l *Limiter) Limits() bool {
	if l == nil {
		return false
	}
	s := l.settings.Load()
	return s.common.perSecond > 0 || len(s.single) > 0
}

// Take charges a key, which is that of an emitter, for messages, or reports false and after
// what wait the same call would succeed.
func (l *Limiter) Take(key, emitterID []byte, messages int, now time.Time) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	limit := l.settings.Load().of(emitterID)
	if limit.perSecond == 0 {
		return 0, true
	}
	hash := maphash.Bytes(l.seed, key)
	s := &l.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now.Sub(l.start)
	b, known := s.buckets[hash]
	b = b.at(limit.perSecond, at)
	if !known || b.full < at {
		b.full = at
	}
	cost := limit.cost(float64(messages))
	if excess := b.full - at + min(cost, limit.tolerance) - limit.tolerance; excess > 0 {
		return excess, false
	}
	if !known && len(s.buckets) >= maxBuckets/shards {
		s.evictLocked(at)
	}
	b.full += cost
	s.buckets[hash] = b
	return 0, true
}

// Refund undoes a Take for messages that were not accepted.
func (l *Limiter) Refund(key []byte, messages int) {
	if l == nil {
		return
	}
	hash := maphash.Bytes(l.seed, key)
	s := &l.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, known := s.buckets[hash]; known {
		b.full -= rate{perSecond: b.perSecond}.cost(float64(messages))
		s.buckets[hash] = b
	}
}

// evictLocked samples some buckets and removes the full ones, or, when none is
// full, the one that is full first.
func (s *shard) evictLocked(now time.Duration) {
	var victim uint64
	var earliest time.Duration
	sampled, removed := 0, 0
	for hash, b := range s.buckets {
		if b.full <= now {
			delete(s.buckets, hash)
			removed++
		} else if sampled == 0 || b.full < earliest {
			victim, earliest = hash, b.full
		}
		if sampled++; sampled == evictionSamples {
			break
		}
	}
	if removed == 0 {
		delete(s.buckets, victim)
	}
}
