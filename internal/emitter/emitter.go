// Package emitter sends packets to a distributor: generated messages as load,
// or a real log file. It is an open-loop load generator: each packet has a due
// time that a slow target does not delay, and latency is measured from the due
// time.
//
// Every packet and message generated, and every line read, is reported as
// accepted, refused, given up or left. Memory is bounded independently of the
// target.
package emitter

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/worker"
)

// maxPendingBytes bounds the bytes of packets queued or in flight.
const maxPendingBytes = 64 << 20

// Dependencies holds the emitter's dependencies.
type Dependencies struct {
	Logger *slog.Logger
	// Out receives progress lines and the final report; nil disables both.
	Out io.Writer
	// Terminal reports that Out is a terminal, whose last line may be
	// rewritten.
	Terminal bool
	// Stdin is read when Config.File is "-". A Read in progress when Run
	// returns continues until it returns.
	Stdin io.Reader
	// Resolver looks up the addresses of a dns+http target; nil is net.DefaultResolver.
	Resolver Resolver
}

// Emitter is one run. It is made by New and used once.
//
//	source ──▶ produce, when due ──▶ queue ──▶ Concurrency workers ──▶ target
type Emitter struct {
	config   Config
	deps     Dependencies
	targets  *targets
	source   source
	pacer    Pacer
	counters *counters

	// queue is short: a packet that waits for the queue keeps its due time, so
	// a longer queue would only use memory.
	queue      chan *outgoing
	byteBudget *byteBudget
	packetPool sync.Pool
}

// New validates the configuration, opens the log file if one is named, and
// returns an emitter. The caller must call Run, which closes the file.
func New(config Config, deps Dependencies) (*Emitter, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if deps.Resolver == nil {
		deps.Resolver = net.DefaultResolver
	}
	to, err := newTargets(config, deps.Resolver, deps.Logger)
	if err != nil {
		return nil, err
	}
	runID := newRunID()
	from, err := newSource(config, deps.Stdin, runID, deps.Logger)
	if err != nil {
		return nil, err
	}
	return &Emitter{
		config:     config,
		deps:       deps,
		targets:    to,
		source:     from,
		pacer:      Pacer{Rate: config.Rate},
		counters:   newCounters(runID),
		queue:      make(chan *outgoing, config.Concurrency),
		byteBudget: newByteBudget(maxPendingBytes),
	}, nil
}

func newRunID() string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// Snapshot returns the report so far. Safe for concurrent use.
func (e *Emitter) Snapshot() Report { return e.counters.snapshot() }

// Run sends until the source ends, Config.Duration has passed or ctx is done.
// In the latter two cases it sends packets already produced for up to
// Config.StopTimeout. It returns the report and errors of the source; packets
// that were not accepted are no error (see Report.Unaccepted). All goroutines
// have ended when it returns.
func (e *Emitter) Run(ctx context.Context) (Report, error) {
	producing, stop := context.WithCancel(ctx)
	defer stop()
	if e.config.Duration > 0 {
		producing, stop = context.WithTimeout(ctx, e.config.Duration)
		defer stop()
	}
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()

	e.counters.start()
	var workers, others sync.WaitGroup
	others.Go(func() { e.enforceStopTimeout(producing, sending, giveUp) })
	if e.deps.Out != nil {
		others.Go(func() { progress(sending, e.counters, e.deps.Out, e.deps.Terminal) })
	}
	others.Go(func() { e.targets.run(sending) })
	for range e.config.Concurrency {
		workers.Go(func() { e.work(sending) })
	}
	runErr := e.produce(producing, sending)
	close(e.queue)
	workers.Wait()
	e.counters.end()
	giveUp()
	others.Wait()

	runErr = errors.Join(runErr, e.source.close())
	report := e.counters.snapshot()
	if e.deps.Out != nil {
		runErr = errors.Join(runErr, e.finalReport(report))
	}
	return report, runErr
}

// enforceStopTimeout calls giveUp when StopTimeout has passed after the end of
// producing.
func (e *Emitter) enforceStopTimeout(producing, sending context.Context, giveUp func()) {
	select {
	case <-producing.Done():
		worker.Sleep(sending, e.config.StopTimeout)
		giveUp()
	case <-sending.Done():
	}
}

// produce takes packets from the source at their due times and queues them,
// until the source or producing ends.
func (e *Emitter) produce(producing, sending context.Context) error {
	start := time.Now()
	end := start.Add(e.config.Duration)
	for sent := int64(0); ; sent++ {
		if wait := e.pacer.Pace(time.Since(start), sent); wait > 0 && !worker.Sleep(producing, wait) {
			return nil
		}
		// producing may end late on a busy machine.
		if due := start.Add(e.pacer.due(sent)); e.config.Duration > 0 && !due.Before(end) {
			return nil
		}
		p := e.acquirePacket()
		err := e.source.next(producing, p)
		start = start.Add(p.waited) // the schedule is suspended while the source has no data
		if e.config.Rate > 0 {
			p.due = start.Add(e.pacer.due(sent))
		}
		e.counters.produced(p)
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

// enqueue queues p for the workers, or counts it as left when sending ends
// first.
func (e *Emitter) enqueue(sending context.Context, p *outgoing) {
	if e.byteBudget.acquire(sending, len(p.body)) {
		select {
		case e.queue <- p:
			return
		case <-sending.Done():
		}
	}
	e.counters.left(p)
}

// work sends packets until the queue is closed and empty. Packets taken after
// the end of sending are counted as left.
func (e *Emitter) work(sending context.Context) {
	s := &sender{
		targets:    e.targets,
		connection: newConnection(e.targets.token, e.config.RequestTimeout),
		counters:   e.counters,
		maxRetries: e.config.MaxRetries,
		emitterID:  e.config.EmitterID,
	}
	defer s.connection.close()
	for p := range e.queue {
		switch {
		case sending.Err() != nil || !s.send(sending, p):
			e.counters.left(p)
		case p.span != nil:
			p.span.done.Store(true)
		}
		e.byteBudget.release(len(p.body))
		e.releasePacket(p)
	}
}

func (e *Emitter) acquirePacket() *outgoing {
	if p, ok := e.packetPool.Get().(*outgoing); ok {
		return p
	}
	return &outgoing{}
}

func (e *Emitter) releasePacket(p *outgoing) {
	p.reset()
	e.packetPool.Put(p)
}

func (e *Emitter) finalReport(report Report) error {
	if e.deps.Terminal {
		if _, err := io.WriteString(e.deps.Out, "\r\x1b[K"); err != nil {
			return err
		}
	}
	return report.Write(e.deps.Out)
}
