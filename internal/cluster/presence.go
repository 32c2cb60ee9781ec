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
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	// announceInterval is the time between two announcements of a distributor. After TTL without an
	// announcement a distributor is removed.
	announceInterval = time.Second
	TTL              = 5 * time.Second
	// silence is the maximum time in which the watcher receives no announcement of this
	// distributor.
	silence             = 3 * announceInterval
	maxPresenceBytes    = 16 << 20
	maxAnnouncementSize = 64 << 10
)

// Member is the latest announcement of a distributor.
type Member struct {
	// Key identifies the process.
	Key string
	// Text is the announcement, and Age the time since it was received.
	Text []byte
	Age  time.Duration
}

// Presence tracks the live distributors. It may be used concurrently.
type Presence struct {
	cluster *Cluster
	key     string
	wake    worker.Signal // signal to Run: the connection has changed

	watching sync.WaitGroup
	size     atomic.Int64

	mu   sync.Mutex // guards all below
	seen map[string]announcement
	err  error
}

// announcement is the latest announcement of a distributor, and when it was received.
type announcement struct {
	text []byte
	at   time.Time
}

func newPresence(c *Cluster) *Presence {
	var key [8]byte
	_, _ = rand.Read(key[:]) // never fails
	p := &Presence{cluster: c, key: hex.EncodeToString(key[:]), wake: worker.NewSignal(), seen: make(map[string]announcement), err: errConnecting}
	p.size.Store(1)
	return p
}

// Key returns the key of this distributor.
func (p *Presence) Key() string { return p.key }

// Size returns the number of live distributors, at least 1: this one.
func (p *Presence) Size() int { return int(p.size.Load()) }

// Members returns all distributors but this one, ordered by key. The error is the reason why
// distributors may have started or stopped unnoticed: Members then returns the latest known
// distributors.
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

// Run announces this distributor with the text that describe returns, and watches the others, until
// the context ends; then it removes the announcement at once. It calls resized whenever Size has
// changed.
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

// announce stores a text. It returns the bucket, and a function that stops watching it, nil for a
// bucket that must be opened again.
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
	for key, one := range p.seen { // the time starts anew, so that the watcher can receive announcements
		p.seen[key] = announcement{one.text, time.Now()}
	}
	p.mu.Unlock()
	stop, err := watch(bucket, &p.watching, p.note)
	if err != nil {
		return nil, func() {}, err
	}
	return bucket, stop, nil
}

// note processes an entry of the watcher; nil means that all existing entries have been received.
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

// isSilent reports whether the watcher has received nothing for too long.
func (p *Presence) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.seen[p.key].at) > silence
}

// expire removes the distributors that have announced nothing for the TTL, unless the watcher
// receives nothing.
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

// leave removes the announcement, so that the others need not wait for its TTL.
func (p *Presence) leave(bucket jetstream.KeyValue) {
	if bucket == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), natslink.APITimeout)
	defer cancel()
	_ = bucket.Delete(ctx, p.key)
}
