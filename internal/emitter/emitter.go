// Package emitter sends packets to a distributor: generated messages for load,
// or a real log file. It is an open-loop load generator: packets are due by a
// schedule that a slow target does not slow down, and latency counts from when
// a packet was due.
//
// It promises that its books balance: every packet and message generated, and
// every line read, is reported as accepted, refused, given up or left. Its
// memory is bounded whatever the target does.
package emitter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"
)

// maxProduced bounds the bytes of packets that wait for a worker or are in
// flight.
const maxProduced = 64 << 20

// Deps is what the emitter works with.
type Deps struct {
	Logger *slog.Logger
	// Out gets progress lines and the final report; nil for none.
	Out io.Writer
	// Terminal says that Out is a terminal, whose last line may be rewritten.
	Terminal bool
	// Stdin is read when Config.File is "-". A read of it that has begun when
	// Run ends goes on until it returns.
	Stdin io.Reader
	// OnAccepted, unless nil, is called after each accepted packet, by several
	// goroutines concurrently.
	OnAccepted func(packetID string, messages int)
}

// Emitter is one run. It is made by New and used once.
//
//	source ──▶ produce, when due ──▶ queue ──▶ Concurrency workers ──▶ target
type Emitter struct {
	config Config
	deps   Deps
	target target
	source source
	pacer  Pacer
	tally  *tally
	outage outage

	// queue is small: a packet that waits for the queue keeps its due time, so
	// that a longer one would only cost memory.
	queue chan *outgoing
	room  *room
	spare sync.Pool
}

// New checks the configuration, opens the log file if one is named, and
// returns an emitter that is ready to run. The caller must call Run, which
// closes the file.
func New(config Config, deps Deps) (*Emitter, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	to, err := newTarget(config.Target)
	if err != nil {
		return nil, err
	}
	runID := newRunID()
	from, err := newSource(config, deps.Stdin, runID)
	if err != nil {
		return nil, err
	}
	return &Emitter{
		config: config,
		deps:   deps,
		target: to,
		source: from,
		pacer:  Pacer{Rate: config.Rate},
		tally:  newTally(runID),
		outage: outage{logger: deps.Logger},
		queue:  make(chan *outgoing, config.Concurrency),
		room:   newRoom(maxProduced),
	}, nil
}

func newRunID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails, by its documentation
	return hex.EncodeToString(id[:])
}

// Snapshot returns the report so far. It may be called concurrently, at any time.
func (e *Emitter) Snapshot() Report { return e.tally.snapshot() }

// Run sends until the source ends, Config.Duration has passed or ctx ended.
// After the latter two, packets that were produced are still sent for up to
// Config.StopTimeout. It returns the report, and what went wrong with reading
// the source; what became of packets is no error (Report.Unaccepted makes it
// one). All its goroutines have ended then.
func (e *Emitter) Run(ctx context.Context) (Report, error) {
	producing, stop := context.WithCancel(ctx)
	defer stop()
	if e.config.Duration > 0 {
		producing, stop = context.WithTimeout(ctx, e.config.Duration)
		defer stop()
	}
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()

	e.tally.start()
	var workers, others sync.WaitGroup
	others.Go(func() { e.bound(producing, sending, giveUp) })
	if e.deps.Out != nil {
		others.Go(func() { progress(sending, e.tally, e.deps.Out, e.deps.Terminal) })
	}
	for range e.config.Concurrency {
		workers.Go(func() { e.work(sending) })
	}
	failed := e.produce(producing, sending)
	close(e.queue)
	workers.Wait()
	e.tally.end()
	giveUp()
	others.Wait()

	failed = errors.Join(failed, e.source.close())
	report := e.tally.snapshot()
	if e.deps.Out != nil {
		failed = errors.Join(failed, e.finalReport(report))
	}
	return report, failed
}

// bound gives up on what is still under way when StopTimeout has passed after
// the end of producing.
func (e *Emitter) bound(producing, sending context.Context, giveUp func()) {
	select {
	case <-producing.Done():
		sleep(sending, e.config.StopTimeout)
		giveUp()
	case <-sending.Done():
	}
}

// produce takes packets from the source when they are due and queues them,
// until the source or producing ends.
func (e *Emitter) produce(producing, sending context.Context) error {
	start := time.Now()
	end := start.Add(e.config.Duration)
	for sent := int64(0); ; sent++ {
		if wait := e.pacer.Pace(time.Since(start), sent); wait > 0 && !sleep(producing, wait) {
			return nil
		}
		// A busy machine tells late that producing has ended.
		if due := start.Add(e.pacer.Due(sent)); e.config.Duration > 0 && !due.Before(end) {
			return nil
		}
		p := e.lend()
		err := e.source.next(producing, p)
		start = start.Add(p.waited) // the schedule stands still while there is nothing to send
		if e.config.Rate > 0 {
			p.due = start.Add(e.pacer.Due(sent))
		}
		e.tally.produced(p)
		if len(p.body) > 0 {
			e.enqueue(sending, p)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, producing.Err()):
			return nil
		default:
			return err
		}
	}
}

// enqueue hands p to the workers, or leaves it when sending ends first.
func (e *Emitter) enqueue(sending context.Context, p *outgoing) {
	if e.room.take(sending, len(p.body)) {
		select {
		case e.queue <- p:
			return
		case <-sending.Done():
		}
	}
	e.tally.left(p)
}

// work settles packets until the queue is closed and empty. Once sending has
// ended, what comes is left.
func (e *Emitter) work(sending context.Context) {
	s := &sender{
		connection: newConnection(e.target, e.config.RequestTimeout),
		tally:      e.tally,
		outage:     &e.outage,
		maxRetries: e.config.MaxRetries,
		onAccepted: e.deps.OnAccepted,
	}
	defer s.connection.close()
	for p := range e.queue {
		if sending.Err() != nil || !s.send(sending, p) {
			e.tally.left(p)
		}
		e.room.give(len(p.body))
		e.giveBack(p)
	}
}

func (e *Emitter) lend() *outgoing {
	if p, ok := e.spare.Get().(*outgoing); ok {
		return p
	}
	return &outgoing{}
}

func (e *Emitter) giveBack(p *outgoing) {
	p.reset()
	e.spare.Put(p)
}

func (e *Emitter) finalReport(report Report) error {
	if e.deps.Terminal {
		if _, err := io.WriteString(e.deps.Out, "\r\x1b[K"); err != nil {
			return err
		}
	}
	return report.Write(e.deps.Out)
}
