package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/natslink"
)

// openTimeout is for how long Open waits for NATS. Without it the journal is opened
// nevertheless, and takes nothing until NATS answers.
const openTimeout = 5 * time.Second

// Open connects to NATS and makes or checks the streams. A stream whose settings would lose
// packets, or a refusal by NATS that does not pass by itself, is an error.
func Open(ctx context.Context, config Config, deps Deps) (*Journal, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	j := newJournal(config, deps)
	if err := j.register(deps.Registerer); err != nil {
		return nil, err
	}
	var err error
	if j.link, err = natslink.Connect(config.Config, j.name, j.logger, j.connectionChanged); err != nil {
		return nil, err
	}
	close(j.linked)
	if err = j.subscribe(); err == nil {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		err = j.prepare(ctx)
		cancel()
	}
	var refused *streamError
	if errors.As(err, &refused) {
		j.link.Close()
		return nil, err
	}
	if err != nil {
		j.logger.Warn("the streams cannot be reached: packets are refused until they can", "error", err)
	}
	j.checkDurability(ctx)
	j.start()
	return j, nil
}

func newJournal(config Config, deps Deps) *Journal {
	j := &Journal{
		logger: deps.Logger, pool: deps.Pool, config: config, metrics: newMetrics(), name: processName(),
		quarantine: quarantine{deps.QuarantineDir}, ready: make(chan struct{}, 1), linked: make(chan struct{}), pubAckSubject: nats.NewInbox() + ".",
		sending: newLoop(), keeping: newLoop(), watching: newLoop(),
		published: make(map[uint64]*publication), claims: make(map[uint64]*claim), byID: make(map[string]*claim), lastFetch: time.Now(), stickAfter: stickAfter, publishTimeout: publishTimeout,
	}
	j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, errNotReady)
	j.waiters.New = func() any { return make(syncWaiter, 1) }
	for i := range config.Partitions {
		j.partitions = append(j.partitions, newPartition(config, i, true))
	}
	return j
}

func newPartition(c Config, index int, publishes bool) *partition {
	return &partition{index: index, stream: c.streamOf(index), subject: c.subjectOf(index), publishes: publishes, receiving: newLoop()}
}

// processName returns a name that no other process has: that of the host, as far as it can
// be part of a subject, and random digits.
func processName() string {
	host, _ := os.Hostname() // the digits suffice
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, host)
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // never fails
	return host[:min(len(host), 64)] + "-" + hex.EncodeToString(boot[:])
}

func (j *Journal) start() {
	j.mu.Lock()
	j.opened = true
	j.mu.Unlock()
	j.sending.running.Go(func() { (&sender{journal: j}).run() })
	j.keeping.running.Go(j.keep)
	j.watching.running.Go(j.watch)
}

// subscribe subscribes to the answers of the streams, and to what other distributors say.
func (j *Journal) subscribe() error {
	_, acks := j.link.Conn.Subscribe(j.pubAckSubject+"*", j.onPubAck)
	_, notes := j.link.Conn.Subscribe(j.notesSubject(j.name), func(m *nats.Msg) { j.noted(m.Data) })
	_, offers := j.link.Conn.Subscribe(j.offersSubject(j.name), j.onOffer)
	return errors.Join(acks, notes, offers)
}

// connectionChanged notes that the connection is there or lost; with a cause, that no server
// can be reached.
func (j *Journal) connectionChanged(up bool, cause error) {
	<-j.linked
	j.mu.Lock()
	var done []*request
	switch {
	case up:
		// A server that has just started takes publications before its streams do: until they
		// answer, packets are refused at once instead of after a wait.
		for _, p := range j.partitions {
			p.silent = p.silent || j.opened && j.lost != nil
		}
		j.lost = nil
		for _, o := range j.published { // what was sent may be lost
			o.sent, o.sends = time.Time{}, 0
		}
		for _, p := range j.partitions {
			p.answered = time.Now()
		}
	case cause != nil:
		j.lost = cause
		done = j.refuseAllLocked(fmt.Errorf("%w: %w", journal.ErrUnwritable, cause))
	}
	done = append(done, j.updateWritableLocked()...)
	partitions := j.partitions
	j.mu.Unlock()
	j.complete(done)
	j.sending.wake()
	j.keeping.wake()
	j.watching.wake()
	for _, p := range partitions {
		p.receiving.wake()
	}
}

// Release implements journal.Shared.
func (j *Journal) Release() {
	j.mu.Lock()
	j.releasing = true
	j.tendClaimsLocked(time.Now())
	j.wakeReceiversLocked()
	j.mu.Unlock()
	j.keeping.wake()
}

// closeTimeout bounds the wait for the answer to the last acks.
const closeTimeout = 10 * time.Second

// Close gives back what was received and is not acknowledged, and closes the connection.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed, j.releasing = true, true
	j.wakeReceiversLocked()
	j.mu.Unlock()
	if closed {
		return nil
	}
	j.watching.shutDown()
	for _, p := range j.partitions {
		p.receiving.shutDown()
	}
	j.mu.Lock()
	for _, c := range j.claims {
		j.abandonLocked(c)
	}
	j.mu.Unlock()
	j.sending.wake()
	j.awaitPublished()
	j.sending.shutDown()
	j.mu.Lock()
	done := j.refuseAllLocked(journal.ErrClosed)
	j.mu.Unlock()
	j.complete(done)
	j.keeping.shutDown()
	if j.link.IsConnected() {
		_ = j.link.Conn.FlushTimeout(closeTimeout) // an ack that is lost costs a duplicate
	}
	j.link.Close()
	return nil
}

// abandonLocked gives back an envelope, with what was fetched of it.
func (j *Journal) abandonLocked(c *claim) {
	if c.moving {
		return
	}
	if c.claimed == 0 {
		j.returnLocked(c, ackReturn)
		return
	}
	j.restoreAwaitedLocked(c)
	packets := j.unqueueLocked(c)
	j.replyLocked(c, ackReturn)
	j.forgetLocked(c)
	for _, p := range packets {
		j.stats.Queued.Subtract(p)
		j.stats.Returned.Add(p)
		p.Release()
	}
}

// awaitPublished waits until the streams have answered, or publications have ended without that.
func (j *Journal) awaitPublished() {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(j.publishTimeout); time.Now().Before(deadline) && j.link.IsConnected(); <-ticker.C {
		j.mu.Lock()
		left := len(j.published) + len(j.pending)
		j.mu.Unlock()
		if left == 0 {
			return
		}
	}
}
