// Package distributor composes the distributor. New creates and wires the components, Start
// starts them, and Stop stops them in an order that loses no packet.
//
//	emitter ─▶ server ─▶ protocol ─▶ intake ─Append─▶ journal ─Fetch─▶ router ─Offer─▶ upstream ─Send─▶ sink ─▶ analyzer
//	           bytes     packets     admit, screen       ▲               │ ▲              │ queue, breaker, senders
//	                                                     └──────Ack──────┘ └────settle────┘ exactly once a packet
//
// The server reads requests and writes responses. A protocol translates requests into
// packets and results into responses. The intake decides which packets are accepted. The
// journal owns accepted, undelivered packets. The router assigns each packet to an
// analyzer by the deficits of package fairshare. An upstream is one analyzer with its
// queue, senders and health. Each package imports only those to its right, except that a
// protocol imports the server.
package distributor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/history"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/server"
	"github.com/logstreamer/logstreamer/internal/tap"
	"github.com/logstreamer/logstreamer/internal/upstream"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Distributor is a distributor. It is used once: New, Start, Stop.
type Distributor struct {
	config   atomic.Pointer[Config]
	configMu sync.Mutex // guards stopped, and changes of config and analyzers
	stopped  bool       // no change of the configuration is accepted
	stores   bool       // see Stores
	// clusterSize is the number of distributors, 0 before it is known; written with configMu.
	clusterSize atomic.Int64
	logger      *slog.Logger
	registry    *prometheus.Registry

	credentials *credentials
	pool        packet.Pool
	retryBudget retrybudget.Budget
	journal     journal.Journal
	dataLock    *os.File       // of DATA_DIR; the disk journal has its own
	duplicates  *dedupe.Window // nil: packets are not deduplicated
	// inputDuplicates is that of packets that inputs make; nil without inputs.
	inputDuplicates *dedupe.Window
	deadLetters     *deadletter.Store
	replayer        *deadletter.Replayer
	taps            tap.Hub
	senders         tap.Senders
	router          *router.Router

	upstreamMetrics   *upstream.Metrics
	deadLetterMetrics *deadletter.Metrics
	analyzers         atomic.Pointer[analyzerSet]
	leaving           sync.WaitGroup  // of analyzers that leave
	leaveCtx          context.Context // ends when the distributor stops
	stopLeaving       context.CancelFunc
	onRemoved         func(id, url string, proof DrainProof)
	leavingGroups     map[string]leavingGroup // guarded by configMu
	discovery         *discovery.Watcher
	onDiscovery       func(Discovery)
	leases            *discovery.Leases
	onLease           func(discovery.LeaseChange, discovery.Lease)

	limiter  *ratelimit.Limiter
	intake   *intake.Intake
	protocol *native.Protocol
	inputs   servedInputs
	watcher  *watcher
	history  *history.History

	ingestListener  net.Listener
	metricsListener net.Listener
	released        []net.Conn   // connections of emitters, until Start
	serving         net.Listener // ingestListener, or a copy of it after a failed Handover
	ingestServer    *server.Server
	metricsServer   *metricsServer

	starting     sync.WaitGroup
	watching     sync.WaitGroup
	stopWatching context.CancelFunc

	stopOnce sync.Once
	leftover packet.Volume
	stopErr  error
}

// New creates and wires the components and binds the listeners.
func New(config Config, logger *slog.Logger) (*Distributor, error) {
	return NewOn(Sockets{}, config, logger)
}

// NewOn is New for a distributor that takes sockets over. It owns the sockets: if it fails, it
// closes them.
func NewOn(sockets Sockets, config Config, logger *slog.Logger) (*Distributor, error) {
	d, err := newOn(sockets, config, logger)
	if err != nil {
		sockets.Close()
	}
	return d, err
}

func newOn(sockets Sockets, config Config, logger *slog.Logger) (*Distributor, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := config.CheckDataDir(); err != nil {
		if config.stores() {
			return nil, err
		}
		logger.Warn("DATA_DIR cannot be used", "error", err)
	}
	config = config.WithDefaults()
	d := &Distributor{logger: logger, registry: prometheus.NewRegistry(), stores: config.stores()}
	d.config.Store(&config)
	d.leaveCtx, d.stopLeaving = context.WithCancel(context.Background())
	if err := errors.Join(d.wire(config), d.inherit(sockets), d.listen(config), d.listenInputs(config, sockets)); err != nil {
		return nil, errors.Join(err, d.release())
	}
	if config.TokensFile != "" && !config.TLS.Enabled() {
		logger.Warn("tokens come unencrypted: INGEST_TOKENS_FILE is set and TLS_CERT is not")
	}
	if limit := config.Server.MaxConnections; limit < minConnectionsWarning {
		logger.Warn("the limit of open files (RLIMIT_NOFILE) leaves few connections for emitters", "connections", limit)
	}
	if sum, fine := config.Targets.WeightSum(); !fine {
		logger.Warn("the weights of ANALYZERS should sum to about 1; their proportions are used", "sum", math.Round(sum*1e6)/1e6)
	}
	for _, text := range config.LargeBodies() {
		logger.Info(text)
	}
	for _, text := range config.Warnings() {
		logger.Warn(text)
	}
	return d, nil
}

func (d *Distributor) wire(config Config) (err error) {
	if d.credentials, err = loadCredentials(config, d.logger.With("component", "credentials"), d.registry); err != nil {
		return err
	}
	if d.journal, err = d.openJournal(config); err != nil {
		return err
	}
	if d.deadLetterMetrics, err = deadletter.NewMetrics(d.registry, upstream.RejectionReasons()); err != nil {
		return err
	}
	d.deadLetters = deadletter.New(config.deadLetters(), d.logger.With("component", "deadletter"), d.deadLetterMetrics)
	d.router = router.New(router.Dependencies{
		Journal: d.journal, DeadLetters: deadLetterRecorder{d.deadLetters, d}, RetryBudget: &d.retryBudget,
		HandBack: d.JournalStatus().Shared,
		Record:   config.Explain == ExplainOn,
		Logger:   d.logger.With("component", "router"),
	})
	if err := d.wireAnalyzers(config); err != nil {
		return err
	}
	if err := d.openDuplicates(config); err != nil {
		return err
	}
	d.limiter = ratelimit.New(config.Rate.Part(d.ClusterSize()))
	d.intake = intake.New(config.Intake, intake.Dependencies{
		Journal:         tappedJournal{d.journal, &d.taps},
		Pool:            &d.pool,
		ProtocolReasons: native.Reasons(),
		Accepting:       func() bool { return d.Stores() || d.anyEligible() },
		RetryAfter:      d.retryAfter,
		Utilization:     d.journal.Utilization,
		Duplicates:      d.duplicates,
		InputDuplicates: d.inputDuplicates,
		Limiter:         d.limiter,
		OnRefusal:       d.tapRefusal,
		Logger:          d.logger.With("component", "ingest"),
	})
	if d.protocol, err = native.New(config.Native, d.intake, d.credentials.principals(), d.registry); err != nil {
		return err
	}
	d.replayer = deadletter.NewReplayer(d.deadLetters, replayJournal{d}, &d.pool, d.logger.With("component", "deadletter"))
	d.watcher = newWatcher(d)
	d.history = history.New(newSnapshots(d).take)
	return errors.Join(d.wireInputs(config), d.router.Register(d.registry), d.watcher.register(d.registry), d.register(), d.registerLeases(), d.registerDiscovery(), d.registerIntake())
}

// openDuplicates opens the duplicate windows of packets and of inputs, if they have one.
func (d *Distributor) openDuplicates(config Config) (err error) {
	logger := d.logger.With("component", "dedupe")
	if config.DedupeWindow > 0 {
		if d.duplicates, err = dedupe.Open(config.dedupe(), logger, time.Now()); err != nil {
			return fmt.Errorf("DEDUPE_WINDOW_SEC: %w", err)
		}
	}
	if len(config.Inputs) > 0 {
		if d.inputDuplicates, err = dedupe.Open(config.inputDedupe(), logger, time.Now()); err != nil {
			return fmt.Errorf("INPUTS: the duplicate window: %w", err)
		}
	}
	return nil
}

func (d *Distributor) wireAnalyzers(config Config) (err error) {
	if d.upstreamMetrics, err = upstream.NewMetrics(d.registry); err != nil {
		return err
	}
	d.analyzers.Store(new(analyzerSet))
	d.leases = discovery.NewLeases()
	d.discovery = discovery.NewWatcher(discovery.NewResolver(config.NameServer), d.rediscover)
	d.resolve(d.leaveCtx, config, 2*time.Second)
	c, err := d.plan(config)
	if err != nil {
		return err
	}
	d.apply(config, c)
	return nil
}

func (d *Distributor) listen(config Config) error {
	var err error
	if d.ingestListener == nil {
		if d.ingestListener, err = net.Listen("tcp", config.listenAddress()); err != nil {
			return fmt.Errorf("%s: %w", listenKey(err), err)
		}
	}
	if d.metricsListener == nil {
		if d.metricsListener, err = net.Listen("tcp", config.MetricsListen); err != nil {
			return fmt.Errorf("METRICS_ADDR: %w", err)
		}
	}
	return nil
}

// release releases the resources of a failed New.
func (d *Distributor) release() error {
	d.closeListeners()
	d.closeDuplicates()
	var err error
	if d.journal != nil {
		err = d.journal.Close()
	}
	d.unlockData()
	return err
}

// unlockData releases the lock of DATA_DIR.
func (d *Distributor) unlockData() {
	if d.dataLock != nil {
		_ = d.dataLock.Close() // the lock would end with the process
	}
}

func (d *Distributor) closeDuplicates() {
	for _, w := range d.windows() {
		w.Close()
	}
}

// windows returns the existing duplicate windows.
func (d *Distributor) windows() []*dedupe.Window {
	return slices.DeleteFunc([]*dedupe.Window{d.duplicates, d.inputDuplicates}, func(w *dedupe.Window) bool { return w == nil })
}

// Addr returns the address of the ingest API.
func (d *Distributor) Addr() string { return d.ingestListener.Addr().String() }

// MetricsAddr returns the address of /metrics.
func (d *Distributor) MetricsAddr() string { return d.metricsListener.Addr().String() }

// Start probes each analyzer once and then serves.
func (d *Distributor) Start(ctx context.Context) {
	d.awaitAnalyzers(ctx)
	d.router.Start(ctx)
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopWatching = stop
	d.watcher.sample(time.Now())
	d.watching.Go(func() { d.watcher.run(watching) })
	d.watching.Go(func() { d.history.Run(watching) })
	d.watching.Go(func() { d.credentials.files.Run(watching) })
	d.watching.Go(func() { d.runLeases(watching) })
	d.metricsServer = serveMetrics(d.metricsListener, d.registry, d.logger)
	d.serveIngest(d.ingestListener, d.released)
	d.released = nil
	d.serveInputs()
	d.discovery.Watch(d.leaveCtx, d.Config().Targets.groups())
	d.logStart()
}

// awaitAnalyzers starts the analyzers and waits for the results of the first probes; with a
// disk journal, which accepts packets without analyzers, for at most maxWaitIfStored.
func (d *Distributor) awaitAnalyzers(ctx context.Context) {
	const maxWaitIfStored = 500 * time.Millisecond
	limit := d.Config().Analyzer.ProbeTimeout + time.Second // longer than any probe
	if d.Stores() {
		limit = maxWaitIfStored
	}
	d.startAnalyzers(ctx, d.present(), limit)
}

// Stop stops accepting packets, delivers the accepted packets until the context ends, and stops the
// components. It returns the undelivered volume, which with a disk journal the next start delivers.
// Components stop in the order in which packets pass them, after their input has ended.
func (d *Distributor) Stop(ctx context.Context) (left packet.Volume, err error) {
	d.stopOnce.Do(func() {
		d.logger.Info("distributor stops: delivering what is left")
		d.freeze()
		d.stopErr = d.stopStreams(ctx)
		d.intake.Drain()
		d.releaseShared()
		d.replayer.Stop()
		d.router.Drain() // before the server: requests may wait for deliveries
		if d.ingestServer != nil {
			d.stopErr = errors.Join(d.stopErr, d.ingestServer.Stop(ctx), d.stopInputs(ctx))
		}
		worker.Poll(ctx, d.settled)
		d.shutDown(ctx)
	})
	return d.leftover, d.stopErr
}

// shutDown stops the components behind the ingest server.
func (d *Distributor) shutDown(ctx context.Context) {
	if d.stopWatching != nil {
		d.stopWatching()
		d.watching.Wait()
	}
	d.router.Stop()
	d.starting.Wait()
	d.stopLeaving()
	d.discovery.Wait()
	d.leaving.Wait()
	d.stopAnalyzers()
	d.router.Close()
	d.stopErr = errors.Join(d.stopErr, d.journal.Close())
	d.closeDuplicates()
	d.deadLetters.Close()
	d.unlockData()
	if d.metricsServer != nil {
		d.stopErr = errors.Join(d.stopErr, d.metricsServer.stop(ctx))
	}
	d.closeListeners()
	d.taps.Close()
	d.leftover = d.unsettled()
	d.logger.Info("distributor has stopped", "left_packets", d.leftover.Packets, "left_messages", d.leftover.Messages)
}

// unsettled returns the volume that is accepted and neither delivered nor dead-lettered.
func (d *Distributor) unsettled() packet.Volume {
	stats := d.journal.Stats()
	return stats.Queued.Plus(stats.Claimed)
}

func (d *Distributor) settled() bool { return d.undelivered() == 0 }

// freeze ends changes of the configuration. It resumes a paused dispatch if the journal is in
// memory, because the packets would be lost.
func (d *Distributor) freeze() {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	d.stopped = true
	last := d.Config()
	if last.Dispatch != DispatchPaused || d.Stores() {
		return
	}
	d.logger.Info("dispatch is resumed to deliver what is left")
	last.Dispatch = DispatchRunning
	if err := d.router.Configure(routing(last, d.present())); err != nil {
		d.logger.Error("dispatch cannot be resumed", "error", err) // impossible: the settings are valid
	}
}

// undelivered returns the number of accepted packets that a stop waits for: while dispatch is
// paused, only the packets that analyzers hold, since the others remain on disk.
func (d *Distributor) undelivered() int64 {
	if d.Stores() && d.Config().Dispatch == DispatchPaused {
		return d.bound().Packets
	}
	return d.unsettled().Packets
}

// closeListeners closes the listeners that no server has closed.
func (d *Distributor) closeListeners() {
	for _, l := range []net.Listener{d.ingestListener, d.metricsListener} {
		if l != nil {
			_ = l.Close()
		}
	}
	d.closeInputs()
}

// retryAfter estimates when a request that is refused for a reason would be accepted.
func (d *Distributor) retryAfter(reason intake.Reason) time.Duration {
	switch reason {
	case intake.NoAnalyzer:
		return time.Until(d.nextProbe())
	case intake.Overloaded, intake.Shed:
		// After half of the queue has drained, many emitters find capacity.
		stats := d.journal.Stats()
		return d.router.DrainTime((stats.Queued.Packets + stats.Claimed.Packets) / 2)
	default:
		return 5 * time.Second
	}
}

// nextProbe returns the earliest time of a probe of a ready analyzer: the zero time if one is
// probed now, or there is none.
func (d *Distributor) nextProbe() (next time.Time) {
	first := true
	for _, a := range d.present() {
		if probe := a.NextProbe(); a.target.State == StateReady && (first || probe.Before(next)) {
			next, first = probe, false
		}
	}
	return next
}

// eligible returns the number of eligible analyzers.
func (d *Distributor) eligible() int {
	eligible := 0
	for _, a := range d.present() {
		if a.eligible() {
			eligible++
		}
	}
	return eligible
}

// notReady returns the number of analyzers in a state other than ready.
func (d *Distributor) notReady() int {
	count := 0
	for _, a := range d.present() {
		if a.target.State != StateReady {
			count++
		}
	}
	return count
}

// anyEligible is called for each packet and stops at the first eligible analyzer.
func (d *Distributor) anyEligible() bool { return slices.ContainsFunc(d.present(), running.eligible) }
