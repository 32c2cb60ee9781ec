package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

const (
	// announceInterval is the time between two announcements of a distributor, and TTL that
	// after which one that announces nothing is gone.
	announceInterval = time.Second
	TTL              = 5 * time.Second
	// silence is how long the watcher may tell of no announcement of this distributor.
	silence             = 3 * announceInterval
	maxPresenceBytes    = 16 << 20
	maxAnnouncementSize = 64 << 10
)

// Member is a distributor as it has announced itself.
type Member struct {
	// Key identifies the process.
	Key string
	// Text is the announcement, and Age the time since it came.
	Text []byte
	Age  time.Duration
}

// Presence knows which distributors are there. It may be used concurrently.
type Presence struct {
	cluster *Cluster
	key     string
	wake    chan struct{} // of Run: the connection has changed

	watching sync.WaitGroup
	size     atomic.Int64

	mu   sync.Mutex // guards all below
	seen map[string]announcement
	err  error
}

// announcement is what a distributor has last announced, and when that came.
type announcement struct {
	text []byte
	at   time.Time
}

func newPresence(c *Cluster) *Presence {
	var key [8]byte
	_, _ = rand.Read(key[:]) // never fails
	p := &Presence{cluster: c, key: hex.EncodeToString(key[:]), wake: make(chan struct{}, 1), seen: make(map[string]announcement), err: errConnecting}
	p.size.Store(1)
	return p
}

// Key returns the key of this distributor.
func (p *Presence) Key() string { return p.key }

// Size returns how many distributors are there, at least 1: this one.
func (p *Presence) Size() int { return int(p.size.Load()) }

// Members returns all distributors but this one, by their keys. The error is why distributors
// may have come or gone unnoticed: those that were there last are returned then.
func (p *Presence) Members() (others []Member, err error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, one := range p.seen {
		if key != p.key {
			others = append(others, Member{key, one.text, now.Sub(one.at)})
		}
	}
	slices.SortFunc(others, func(a, b Member) int { return cmp.Compare(a.Key, b.Key) })
	return others, p.err
}

// Run announces this distributor with the text that describe returns, and watches the others,
// until the context ends; then this distributor is gone at once. resized is called whenever Size
// has changed.
func (p *Presence) Run(ctx context.Context, describe func() []byte, resized func(size int)) {
	ticker := time.NewTicker(announceInterval)
	defer ticker.Stop()
	var bucket jetstream.KeyValue
	stop := func() {}
	for ctx.Err() == nil {
		if bucket != nil && p.isSilent() {
			stop()
			bucket, stop = nil, func() {}
		}
		bucket, stop = p.announce(ctx, bucket, stop, describe())
		p.expire(resized)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-p.wake:
		}
	}
	p.leave(bucket)
	stop()
	p.watching.Wait()
}

// announce puts a text. It returns the bucket, and what stops watching it, nil for one that must
// be opened anew.
func (p *Presence) announce(ctx context.Context, bucket jetstream.KeyValue, stop func(), text []byte) (jetstream.KeyValue, func()) {
	ctx, cancel := context.WithTimeout(ctx, natslink.APITimeout)
	defer cancel()
	err := p.cluster.connected()
	if err == nil && bucket == nil {
		bucket, stop, err = p.open(ctx)
	}
	if err == nil {
		if _, err = bucket.Put(ctx, p.key, text); err != nil {
			err = explain(err, bucket.Bucket())
		}
	}
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	if err != nil && bucket != nil {
		stop()
		return nil, func() {}
	}
	return bucket, stop
}

// open opens the bucket and watches it.
func (p *Presence) open(ctx context.Context) (jetstream.KeyValue, func(), error) {
	want := p.cluster.bucketConfig("-presence", "distributors of Log Streamer that are there")
	want.TTL, want.MaxBytes, want.MaxValueSize = TTL, maxPresenceBytes, maxAnnouncementSize
	bucket, err := p.cluster.openBucket(ctx, want, true)
	if err != nil {
		return nil, func() {}, err
	}
	p.mu.Lock()
	p.seen[p.key] = announcement{}
	for key, one := range p.seen { // the watcher has time to tell of them
		p.seen[key] = announcement{one.text, time.Now()}
	}
	p.mu.Unlock()
	stop, err := watch(bucket, &p.watching, p.note)
	if err != nil {
		return nil, func() {}, err
	}
	return bucket, stop, nil
}

// note takes what the watcher tells; nil says that all that was there has come.
func (p *Presence) note(entry jetstream.KeyValueEntry) {
	if entry == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if entry.Operation() != jetstream.KeyValuePut {
		delete(p.seen, entry.Key())
		return
	}
	p.seen[entry.Key()] = announcement{entry.Value(), time.Now()}
}

// isSilent reports whether the watcher tells of nothing any more.
func (p *Presence) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.seen[p.key].at) > silence
}

// expire forgets those that have announced nothing for the TTL, unless nothing can be heard.
func (p *Presence) expire(resized func(size int)) {
	p.mu.Lock()
	others := 0
	for key, one := range p.seen {
		if p.err == nil && key != p.key && time.Since(one.at) > TTL {
			delete(p.seen, key)
		} else if key != p.key {
			others++
		}
	}
	p.mu.Unlock()
	if size := int64(others) + 1; p.size.Swap(size) != size {
		resized(int(size))
	}
}

// leave tells the others that this distributor is gone; without that they know it after the TTL.
func (p *Presence) leave(bucket jetstream.KeyValue) {
	if bucket == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), natslink.APITimeout)
	defer cancel()
	_ = bucket.Delete(ctx, p.key)
}
