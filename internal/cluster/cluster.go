// Package cluster shares state among the distributors that share streams of NATS servers: the
// changes by operators, and the list of live distributors. Each has a bucket of JetStream's
// key-value store.
//
//	control.Controller ─▶ Settings ─▶ bucket NAME-settings   one text, compare-and-set
//	announcement       ─▶ Presence ─▶ bucket NAME-presence   one text for each distributor, with a TTL
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/natslink"
)

// Config has the address and the name of the buckets.
type Config struct {
	natslink.Config
	// Name is the first part of the buckets' names.
	Name string
	// Replicas is the number of servers that keep each bucket.
	Replicas int
}

// openTimeout is the maximum time that Open waits for the settings.
const openTimeout = 3 * time.Second

// errConnecting is the reason why nothing is known before the first connection.
var errConnecting = errors.New("the connection to NATS is not there yet")

// Cluster is the connection of a distributor to the other distributors. It may be used
// concurrently.
type Cluster struct {
	config   Config
	logger   *slog.Logger
	link     *natslink.Link
	settings *Settings
	presence *Presence
	linked   chan struct{} // closed once link is set
	closing  context.CancelFunc
	running  sync.WaitGroup

	mu   sync.Mutex // guards lost
	lost error      // why there is no connection; nil: there is one
}

// Open connects to NATS, and reads the settings if a server can be reached now. It creates no
// bucket. It returns an error that a retry cannot fix, such as a wrong password.
func Open(config Config, name string, logger *slog.Logger) (*Cluster, error) {
	c := &Cluster{config: config, logger: logger, linked: make(chan struct{}), lost: errConnecting}
	c.settings, c.presence = newSettings(c), newPresence(c)
	link, err := natslink.Connect(config.Config, name, logger, c.connectionChanged)
	if err != nil {
		return nil, err
	}
	c.link = link
	close(c.linked)
	ctx, cancel := context.WithCancel(context.Background())
	c.closing = cancel
	c.running.Go(func() { c.settings.run(ctx) })
	timer := time.NewTimer(openTimeout)
	defer timer.Stop()
	select {
	case <-c.settings.first:
	case <-timer.C:
	}
	return c, nil
}

// Settings returns the text that the distributors share.
func (c *Cluster) Settings() *Settings { return c.settings }

// Presence returns the live distributors.
func (c *Cluster) Presence() *Presence { return c.presence }

// Close closes the connection. Presence.Run must have returned.
func (c *Cluster) Close() {
	c.closing()
	c.running.Wait()
	c.link.Close()
}

// connectionChanged records that the connection is there or lost; with a cause, that no server can
// be reached.
func (c *Cluster) connectionChanged(up bool, cause error) {
	<-c.linked
	c.mu.Lock()
	switch {
	case up:
		c.lost = nil
	case cause != nil:
		c.lost = cause
	default:
		c.lost = errors.New("the connection to NATS is lost")
	}
	c.mu.Unlock()
	c.settings.wake.Notify()
	c.presence.wake.Notify()
}

// connected returns the reason why there is no connection, or nil.
func (c *Cluster) connected() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// bucketConfig returns the settings of a bucket.
func (c *Cluster) bucketConfig(suffix, description string) jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{
		Bucket: c.config.Name + suffix, Description: description, Storage: jetstream.FileStorage, Replicas: c.config.Replicas,
	}
}

// openBucket returns a bucket. If the bucket is missing, it creates the bucket if that is allowed,
// and returns nil otherwise.
func (c *Cluster) openBucket(ctx context.Context, want jetstream.KeyValueConfig, create bool) (jetstream.KeyValue, error) {
	bucket, err := c.link.JetStream.KeyValue(ctx, want.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if !create {
			return nil, nil
		}
		if bucket, err = c.link.JetStream.CreateKeyValue(ctx, want); err == nil {
			c.logger.Info("bucket made", "bucket", want.Bucket, "replicas", want.Replicas)
		}
	}
	if err != nil {
		return nil, explain(err, want.Bucket)
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return nil, explain(err, want.Bucket)
	}
	have := status.Config()
	if have.TTL != want.TTL || have.Storage != want.Storage {
		return nil, fmt.Errorf("the bucket %s would lose what is put there: its storage is %v and its TTL %v, they must be %v and %v: delete it with the nats tool, or name others with JETSTREAM_STREAM",
			want.Bucket, have.Storage, have.TTL, want.Storage, want.TTL)
	}
	return bucket, nil
}

// watch calls onEntry with each entry of a bucket, from a goroutine of running, until stop is called or
// the connection is closed.
func watch(bucket jetstream.KeyValue, running *sync.WaitGroup, onEntry func(jetstream.KeyValueEntry), options ...jetstream.WatchOpt) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	watcher, err := bucket.WatchAll(ctx, options...)
	if err != nil {
		cancel()
		return nil, explain(err, bucket.Bucket())
	}
	running.Go(func() {
		for entry := range watcher.Updates() {
			onEntry(entry)
		}
	})
	return func() {
		_ = watcher.Stop() // the watch may have ended with its connection
		cancel()
	}, nil
}

// explain adds the bucket and a probable cause to an error.
func explain(err error, bucket string) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("the bucket %s does not answer: it has no leader, or the NATS servers have no JetStream: %w", bucket, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("the bucket %s does not answer within %v: %w", bucket, natslink.APITimeout, err)
	}
	return fmt.Errorf("the bucket %s: %w", bucket, err)
}
