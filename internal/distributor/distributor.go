// Package distributor composes the distributor. New makes the components and connects
// them, Start starts them, Stop stops them in the order that loses nothing.
//
//	emitter ─POST /ingest─▶ ingest ─Append─▶ journal ─Fetch─▶ router ─Offer─▶ upstream ─POST /ingest─▶ analyzer
//	            ◀──202───────┘                  ▲               │ ▲              │ queue, breaker, senders
//	                                            └──────Ack──────┘ └────settle────┘ exactly once a packet
//
// ingest validates packets and answers emitters. The journal is the one place of
// accepted, undelivered packets. The router alone decides which analyzer gets each
// packet, by the deficits of package fairshare. An upstream is one analyzer with its
// queue, its senders and its health. Each imports only what is to its right.
package distributor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/ingest"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Distributor is the whole. It is used once: New, Start, Stop.
type Distributor struct {
	config   Config
	logger   *slog.Logger
	registry *prometheus.Registry

	pool        packet.Pool
	retryBudget retrybudget.Budget
	journal     journal.Journal
	duplicates  *dedupe.Window // nil: none
	deadLetters *deadletter.Store
	router      *router.Router

	upstreamMetrics   *upstream.Metrics
	deadLetterMetrics *deadletter.Metrics
	analyzers         atomic.Pointer[[]*upstream.Upstream]
	membersMu         sync.Mutex // guards targets and changes of analyzers
	targets           []Target   // of analyzers

	handler *ingest.Handler
	watcher *watcher

	ingestListener  net.Listener
	metricsListener net.Listener
	ingestServer    *ingest.Server
	metricsServer   *metricsServer

	starting     sync.WaitGroup
	watching     sync.WaitGroup
	stopWatching context.CancelFunc

	stopOnce sync.Once
	leftover packet.Volume
	stopErr  error
}

// New makes the parts, joins them and binds the listeners. Nothing runs yet.
func New(config Config, logger *slog.Logger) (*Distributor, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := config.CheckDataDir(); err != nil {
		if config.Journal == JournalDisk {
			return nil, err
		}
		logger.Warn("DATA_DIR cannot be used", "error", err)
	}
	d := &Distributor{config: config.Settled(), logger: logger, registry: prometheus.NewRegistry()}
	if err := errors.Join(d.wire(), d.listen()); err != nil {
		return nil, errors.Join(err, d.release())
	}
	if most := d.config.Ingest.MaxConnections; most < minConnectionsWarning {
		logger.Warn("the limit of open files (RLIMIT_NOFILE) leaves few connections for emitters", "connections", most)
	}
	if sum, fine := weightSum(config.Targets); !fine {
		logger.Warn("the weights of ANALYZERS should sum to about 1; their proportions are used", "sum", sum)
	}
	return d, nil
}

func (d *Distributor) wire() (err error) {
	if d.journal, err = d.openJournal(); err != nil {
		return err
	}
	if d.deadLetterMetrics, err = deadletter.NewMetrics(d.registry, upstream.RejectionReasons()); err != nil {
		return err
	}
	d.deadLetters = deadletter.New(d.config.deadLetters(), d.logger.With("component", "deadletter"), d.deadLetterMetrics)
	d.router = router.New(router.Dependencies{
		Journal: d.journal, DeadLetters: dedupForgettingDLQ{d.deadLetters, d}, RetryBudget: &d.retryBudget, Strict: d.config.Routing == RoutingStrict,
		Logger: d.logger.With("component", "router"),
	})
	if err := d.wireAnalyzers(); err != nil {
		return err
	}
	if d.config.DedupeWindow > 0 {
		if d.duplicates, err = dedupe.Open(d.config.dedupe(), d.logger.With("component", "dedupe"), time.Now()); err != nil {
			return fmt.Errorf("DEDUPE_WINDOW_SEC: %w", err)
		}
	}
	d.handler, err = ingest.New(d.config.Ingest, ingest.Dependencies{
		Journal:     d.journal,
		Pool:        &d.pool,
		Registerer:  d.registry,
		Accepting:   func() bool { return d.Stores() || d.anyHealthy() },
		RetryAfter:  d.retryAfter,
		Utilization: d.journal.Utilization,
		Duplicates:  d.duplicates,
		Limiter:     ratelimit.New(d.config.Rate),
		Logger:      d.logger.With("component", "ingest"),
	})
	if err != nil {
		return err
	}
	d.watcher = newWatcher(d)
	return errors.Join(d.router.Register(d.registry), d.watcher.register(d.registry), d.register())
}

func (d *Distributor) openJournal() (journal.Journal, error) {
	if !d.Stores() {
		return memory.New(d.config.Memory), nil
	}
	opened, err := disk.Open(d.config.disk(), disk.Deps{
		Logger: d.logger.With("component", "journal"), Registerer: d.registry, Pool: &d.pool,
	})
	if err != nil {
		return nil, fmt.Errorf("JOURNAL=disk: %w", err)
	}
	return opened, nil
}

// Stores tells that accepted packets are on disk, so that they can wait for
// analyzers, and for another start.
func (d *Distributor) Stores() bool { return d.config.Journal == JournalDisk }

func (d *Distributor) wireAnalyzers() (err error) {
	if d.upstreamMetrics, err = upstream.NewMetrics(d.registry); err != nil {
		return err
	}
	d.membersMu.Lock()
	defer d.membersMu.Unlock()
	d.analyzers.Store(new([]*upstream.Upstream))
	for _, target := range d.config.Targets {
		analyzer, err := d.newAnalyzer(target)
		if err == nil {
			err = d.addLocked(analyzer, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Distributor) listen() error {
	var err error
	if d.ingestListener, err = net.Listen("tcp", d.config.Listen); err != nil {
		return fmt.Errorf("%s: %w", listenKey(err), err)
	}
	if d.metricsListener, err = net.Listen("tcp", d.config.MetricsListen); err != nil {
		return fmt.Errorf("METRICS_ADDR: %w", err)
	}
	return nil
}

// undo gives back what a New that failed had taken.
func (d *Distributor) release() error {
	d.closeListeners()
	d.closeDuplicates()
	if d.journal == nil {
		return nil
	}
	return d.journal.Close()
}

func (d *Distributor) closeDuplicates() {
	if d.duplicates != nil {
		d.duplicates.Close()
	}
}

// Addr is where the ingest API listens, MetricsAddr where /metrics is.
func (d *Distributor) Addr() string        { return d.ingestListener.Addr().String() }
func (d *Distributor) MetricsAddr() string { return d.metricsListener.Addr().String() }

// Start asks every analyzer for its health once, then serves. What can store
// packets does not wait long for the answers.
func (d *Distributor) Start(ctx context.Context) {
	for _, a := range d.present() {
		d.starting.Go(func() { a.Start(ctx) })
	}
	d.awaitAnalyzers()
	d.router.Start(ctx)
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopWatching = stop
	d.watcher.sample(time.Now())
	d.watching.Go(func() { d.watcher.run(watching) })
	d.metricsServer = serveMetrics(d.metricsListener, d.registry, d.logger)
	d.ingestServer = d.handler.Serve(d.ingestListener, d.route, d.config.Timeouts, d.logger.With("component", "ingest"))
	d.logStart()
}

// awaitAnalyzers waits until each has answered its first probe, or failed to.
func (d *Distributor) awaitAnalyzers() {
	const longestIfStored = 500 * time.Millisecond
	if !d.Stores() {
		d.starting.Wait()
		return
	}
	answered := make(chan struct{})
	go func() {
		d.starting.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(longestIfStored):
	}
}

// Stop takes no more packets, delivers what is left until the context ends, and
// ends everything. It returns what could not be delivered; with a disk journal
// the next start delivers that. The order is what
// keeps packets safe: first nobody may add, then the queues run empty, then
// those who empty them go.
func (d *Distributor) Stop(ctx context.Context) (left packet.Volume, err error) {
	d.stopOnce.Do(func() {
		d.logger.Info("distributor stops: delivering what is left")
		d.handler.Drain()
		d.router.Drain() // at once: some requests are answered when their packets are delivered
		if d.ingestServer != nil {
			d.stopErr = d.ingestServer.Stop(ctx)
		}
		d.drain(ctx)
		if d.stopWatching != nil {
			d.stopWatching()
			d.watching.Wait()
		}
		d.router.Stop()
		d.starting.Wait()
		var stops sync.WaitGroup
		for _, a := range d.present() {
			stops.Go(a.Stop)
		}
		stops.Wait()
		d.router.Close()
		d.stopErr = errors.Join(d.stopErr, d.journal.Close())
		d.closeDuplicates()
		d.deadLetters.Close()
		if d.metricsServer != nil {
			d.stopErr = errors.Join(d.stopErr, d.metricsServer.stop(ctx))
		}
		d.closeListeners()
		stats := d.journal.Stats()
		d.leftover = stats.Queued.Plus(stats.Claimed)
		d.logger.Info("distributor has stopped", "left_packets", d.leftover.Packets, "left_messages", d.leftover.Messages)
	})
	return d.leftover, d.stopErr
}

// drain waits until all accepted packets are settled.
func (d *Distributor) drain(ctx context.Context) {
	const look = 5 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		stats := d.journal.Stats()
		if stats.Queued.Packets+stats.Claimed.Packets == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// closeListeners closes listeners that no server has taken over.
func (d *Distributor) closeListeners() {
	for _, l := range []net.Listener{d.ingestListener, d.metricsListener} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// retryAfter estimates when a request refused with that code may be taken.
func (d *Distributor) retryAfter(code problem.Code) time.Duration {
	switch code {
	case problem.NoAnalyzer:
		return time.Until(d.nextProbe())
	case problem.Overloaded, problem.Shed:
		// When half of what waits now has left, there is room for many.
		stats := d.journal.Stats()
		return d.router.DrainTime((stats.Queued.Packets + stats.Claimed.Packets) / 2)
	default:
		return 5 * time.Second
	}
}

func (d *Distributor) nextProbe() time.Time {
	var next time.Time
	for _, a := range d.present() {
		if trial := a.NextProbe(); next.IsZero() || trial.Before(next) {
			next = trial
		}
	}
	return next
}

func (d *Distributor) healthy() int {
	healthy := 0
	for _, a := range d.present() {
		if a.Healthy() {
			healthy++
		}
	}
	return healthy
}

// anyHealthy is asked for each packet: it does not look at all.
func (d *Distributor) anyHealthy() bool {
	return slices.ContainsFunc(d.present(), (*upstream.Upstream).Healthy)
}
