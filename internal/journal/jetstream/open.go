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
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// openTimeout is the maximum time that Open waits for NATS. After that the journal is opened
// nevertheless, and takes no packets until NATS answers.
const openTimeout = 5 * time.Second

// Open connects to NATS and creates or checks the streams. It returns an error for a stream whose
// settings would lose packets, and for a refusal by NATS that a retry cannot fix.
func Open(ctx context.Context, config Config, deps Dependencies) (*Journal, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	registry := metric.On(deps.Registerer)
	j := newJournal(config, deps)
	j.metrics = newMetrics(registry)
	j.registerGauges(registry)
	err := registry.Err()
	if err != nil {
		return nil, fmt.Errorf("register the journal's metrics: %w", err)
	}
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

func newJournal(config Config, deps Dependencies) *Journal {
	j := &Journal{
		logger: deps.Logger, pool: deps.Pool, config: config, memoryLimit: config.MemoryLimitBytes, name: processName(),
		quarantine: quarantine{deps.QuarantineDir}, ready: worker.NewSignal(), linked: make(chan struct{}), pubAckSubject: nats.NewInbox() + ".",
		sending: worker.New(), keeping: worker.New(), watching: worker.New(),
		published: make(map[uint64]*publication), claims: make(map[uint64]*claim), byID: make(map[string]*claim), lastFetch: time.Now(), stuckAfter: stuckAfter, publishTimeout: publishTimeout,
	}
	j.unwritable = fmt.Errorf("%w: %w", journal.ErrUnwritable, errNotReady)
	j.Appender = journal.NewAppender(j.submit)
	for i := range config.Partitions {
		j.partitions = append(j.partitions, newPartition(config, i, true))
	}
	return j
}

func newPartition(c Config, index int, publishes bool) *partition {
	return &partition{index: index, stream: c.streamOf(index), subject: c.subjectOf(index), publishes: publishes, receiving: worker.New()}
}

// processName returns a unique name of this process: the characters of the host's name that a
// subject may have, and random digits.
func processName() string {
	host, _ := os.Hostname() // the digits are sufficient
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
	j.sending.Go((&sender{journal: j}).run)
	j.keeping.Go(j.keep)
	j.watching.Go(j.watch)
}

// subscribe subscribes to the acknowledgements of the streams, and to the messages of other distributors.
func (j *Journal) subscribe() error {
	_, acks := j.link.Conn.Subscribe(j.pubAckSubject+"*", j.onPubAck)
	_, notes := j.link.Conn.Subscribe(j.notesSubject(j.name), func(m *nats.Msg) { j.noted(m.Data) })
	_, offers := j.link.Conn.Subscribe(j.offersSubject(j.name), j.onOffer)
	return errors.Join(acks, notes, offers)
}

// connectionChanged records that the connection is there or lost; with a cause, that no server can
// be reached.
func (j *Journal) connectionChanged(up bool, cause error) {
	<-j.linked
	j.mu.Lock()
	var done []*request
	switch {
	case up:
		// A server that has just started accepts publications before its streams do: until they
		// answer, packets are refused at once instead of after a wait.
		for _, p := range j.partitions {
			if j.opened && j.lost != nil {
				p.standing, p.cause = silent, nil
			}
		}
		j.lost = nil
		for _, o := range j.published { // sent messages may be lost
			o.sent, o.sends = time.Time{}, 0
		}
		for _, p := range j.partitions {
			p.answered, p.known = time.Now(), false // the servers may have lost messages
		}
	case cause != nil:
		j.lost = cause
		done = j.refuseAllLocked(fmt.Errorf("%w: %w", journal.ErrUnwritable, cause))
	}
	done = append(done, j.updateWritableLocked()...)
	partitions := j.partitions
	j.mu.Unlock()
	j.complete(done)
	j.sending.Wake()
	j.keeping.Wake()
	j.watching.Wake()
	for _, p := range partitions {
		p.receiving.Wake()
	}
}

// Release implements journal.Shared.
func (j *Journal) Release() {
	j.mu.Lock()
	j.releasing = true
	j.maintainClaimsLocked(time.Now())
	j.wakeReceiversLocked()
	j.mu.Unlock()
	j.keeping.Wake()
}

// closeTimeout bounds the wait for the reply to the last acks.
const closeTimeout = 10 * time.Second

// Close returns received envelopes that are not acknowledged, and closes the connection.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed, j.releasing = true, true
	j.wakeReceiversLocked()
	j.mu.Unlock()
	if closed {
		return nil
	}
	j.watching.Stop()
	for _, p := range j.partitions {
		p.receiving.Stop()
	}
	j.mu.Lock()
	j.abandonLocked()
	j.mu.Unlock()
	j.sending.Wake()
	j.awaitPublished()
	j.sending.Stop()
	j.mu.Lock()
	done := j.refuseAllLocked(journal.ErrClosed)
	j.mu.Unlock()
	j.complete(done)
	j.keeping.Stop()
	if j.link.IsConnected() {
		_ = j.link.Conn.FlushTimeout(closeTimeout) // a lost ack costs a duplicate
	}
	j.link.Close()
	return nil
}

// abandonLocked returns all envelopes, including those with fetched packets.
func (j *Journal) abandonLocked() {
	var untaken, fetched []*claim
	for _, c := range j.claims {
		switch {
		case c.moving:
		case c.claimed == 0:
			untaken = append(untaken, c)
		default:
			fetched = append(fetched, c)
		}
	}
	j.returnLocked(untaken, ackReturn)
	queued := j.unqueueLocked(fetched)
	for _, c := range fetched {
		j.restoreAwaitedLocked(c)
		j.replyLocked(c, ackReturn)
		j.forgetLocked(c)
		releaseAll(queued[c.number])
	}
}

// awaitPublished waits until the streams have answered all publications, or the publications have
// ended without an acknowledgement.
func (j *Journal) awaitPublished() {
	ctx, cancel := context.WithTimeout(context.Background(), j.publishTimeout)
	defer cancel()
	worker.Poll(ctx, func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.published)+len(j.pending) == 0 || !j.link.IsConnected()
	})
}
