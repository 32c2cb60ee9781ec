package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/emitter"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/rendezvous"
)

// cluster is distributors that share the streams of a NATS server, each a process of its own,
// with three analyzers and emitters in this one.
type cluster struct {
	config       Config
	nats         *natsServer
	distributors []*clusterDistributor
	analyzers    *analyzers
	emitters     []*emitter.Emitter
	arrivals     *arrivals
	view         *view
	polled       time.Time
	stored       int64 // envelopes in the streams, negative if unknown
}

// clusterEmitters is the number of emitters: enough for each distributor to be first for some.
const clusterEmitters = 24

// runCluster runs the demo of a cluster. A second interrupt ends it at once.
func runCluster(ctx context.Context, config Config, screen Screen, logger *slog.Logger) (err error) {
	program, err := findNATS(config.NATSServer)
	if err != nil {
		return err
	}
	interrupted, end := withInterrupt(ctx)
	defer end() // after the rest: further interrupts keep nothing from being removed
	dir, err := os.MkdirTemp("", "logstreamer-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := &cluster{config: config, view: newView(screen)}
	defer func() { c.stop(err != nil) }()
	if err := c.start(ctx, program, dir, logger); err != nil {
		return err
	}
	c.printHeader(ctx)
	reports, err := c.send(ctx, interrupted)
	if err != nil {
		return err
	}
	c.settle(interrupted, reports)
	return printClusterLedger(screen.Out, c.ledger(interrupted, reports))
}

// withInterrupt returns a context that ends with the first interrupt after the end of ctx.
func withInterrupt(ctx context.Context) (context.Context, func()) {
	interrupted, cancel := context.WithCancel(context.WithoutCancel(ctx))
	signals := make(chan os.Signal, 1)
	stop := context.AfterFunc(ctx, func() { signal.Notify(signals, os.Interrupt, syscall.SIGTERM) })
	go func() {
		select {
		case <-signals:
			cancel()
		case <-interrupted.Done():
		}
	}()
	return interrupted, func() {
		stop()
		signal.Stop(signals)
		cancel()
	}
}

func (c *cluster) start(ctx context.Context, program, dir string, logger *slog.Logger) (err error) {
	names := make([]string, clusterEmitters)
	for i := range names {
		names[i] = fmt.Sprintf("emitter-%d", i+1)
	}
	c.arrivals = newArrivals(names...)
	if c.analyzers, err = startAnalyzers(logger, c.note); err != nil {
		return err
	}
	if c.nats, err = startNATS(ctx, program, dir); err != nil {
		return err
	}
	if err := c.startDistributors(ctx, dir); err != nil {
		return err
	}
	var targets []string
	for _, d := range c.distributors {
		targets = append(targets, d.url("/ingest"))
	}
	for i, name := range names {
		of := c.config.emitter(strings.Join(targets, ","))
		of.EmitterID, of.Seed, of.Rate, of.Concurrency = name, uint64(i+1), of.Rate/clusterEmitters, 4
		one, err := emitter.New(of, emitter.Dependencies{Logger: logger})
		if err != nil {
			return err
		}
		c.emitters = append(c.emitters, one)
	}
	return nil
}

// note records a packet that an analyzer has processed.
func (c *cluster) note(info packet.Info, body []byte) {
	_, number, _ := strings.Cut(string(info.PacketID.Raw(body)), "-")
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		c.arrivals.note(string(info.EmitterID.Raw(body)), n, info.Messages)
	}
}

// startDistributors starts them together, the first one before the others: it makes the
// streams.
func (c *cluster) startDistributors(ctx context.Context, dir string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	environment := []string{
		"JOURNAL=jetstream", "NATS_URL=" + c.nats.url(), "NATS_MONITOR_URL=" + c.nats.monitorURL(),
		"JETSTREAM_STREAM=" + streamPrefix, "JETSTREAM_REPLICAS=1", "JETSTREAM_MAX_BYTES=256MiB",
		"ANALYZERS=" + distributor.Targets(c.analyzers.targets()).String(),
	}
	for i := range c.config.Cluster {
		d, err := newClusterDistributor(i+1, own, dir, environment)
		if err != nil {
			return err
		}
		if err := d.launch(); err != nil {
			return err
		}
		c.distributors = append(c.distributors, d)
		if i == 0 {
			if err := d.awaitReady(ctx); err != nil {
				return err
			}
		}
	}
	for _, d := range c.distributors {
		if err := d.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends all that runs; at once ends it without order.
func (c *cluster) stop(atOnce bool) {
	const timeout = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if atOnce {
		cancel()
	}
	var stopping sync.WaitGroup
	for _, d := range c.distributors {
		stopping.Go(func() { d.process.stop(ctx) })
	}
	stopping.Wait()
	if c.nats != nil {
		c.nats.stop(ctx)
	}
	if c.analyzers != nil {
		c.analyzers.stop()
	}
}

func (c *cluster) printHeader(ctx context.Context) {
	out := c.view.screen.Out
	_, _ = fmt.Fprintf(out, "Sending %s messages a packet, %g packets a second, from %d emitters to\n", c.config.PacketSize, c.config.Rate, clusterEmitters)
	_, _ = fmt.Fprintf(out, "%d distributors, processes of their own that share the streams of a NATS server:\n", len(c.distributors))
	emitters := c.emittersByDistributor(func(*clusterDistributor) bool { return true })
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	_, _ = fmt.Fprintln(table, "  DISTRIBUTOR\tEMITTERS\tINGEST\tCONSOLE")
	for i, d := range c.distributors {
		_, _ = fmt.Fprintf(table, "  %s\t%d\t%s\t%s\n", d.name, emitters[i], d.url("/ingest"), d.adminURL("/"))
	}
	_ = table.Flush() // the demo continues without its output
	if url := c.distributors[0].adminURL("/v1/cluster"); get(ctx, url, nil) == nil {
		_, _ = fmt.Fprintf(out, "All of them: %s\n", url)
	}
	_, _ = fmt.Fprintln(out)
}

// emittersByDistributor counts for each distributor the emitters that it is first for among those that are up.
func (c *cluster) emittersByDistributor(up func(*clusterDistributor) bool) []int {
	counts := make([]int, len(c.distributors))
	var nodes []rendezvous.Node
	for _, d := range c.distributors {
		weight := 0.0
		if up(d) {
			weight = 1
		}
		nodes = append(nodes, rendezvous.Node{Name: net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)), Weight: weight})
	}
	for i := range clusterEmitters {
		if first := rendezvous.Order(nodes, fmt.Sprintf("emitter-%d", i+1))[0]; nodes[first].Weight > 0 {
			counts[first]++
		}
	}
	return counts
}

// send runs the emitters to their end, draws tables, and kills a distributor for a while.
func (c *cluster) send(ctx, interrupted context.Context) ([]emitter.Report, error) {
	reports, errs := make([]emitter.Report, len(c.emitters)), make([]error, len(c.emitters))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		var sending sync.WaitGroup
		for i, e := range c.emitters {
			sending.Go(func() { reports[i], errs[i] = e.Run(ctx) })
		}
		sending.Wait()
	}()
	c.view.start = time.Now()
	c.polled = c.view.start // when nothing was accepted
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	kill, restart := after(c.config.KillAfter), (<-chan time.Time)(nil)
	victim := c.distributors[0]
	for running := true; running || restart != nil; {
		select {
		case <-sent:
			if running, sent = false, nil; ctx.Err() != nil {
				restart = nil
			}
		case <-ticker.C:
			if !c.config.Console && endsSoon(c.view.start, c.config.Duration) {
				continue // the last table is drawn after the delivery of everything
			}
			c.poll(interrupted)
			c.view.show(c.table(c.snapshots))
		case <-kill:
			victim.kill()
			c.view.logLine("%s (process %d) was killed with SIGKILL: its emitters", victim.name, victim.process.pid())
			c.view.logLine("go to the others, which deliver what it held within 30 s")
			restart = after(c.config.KillDuration)
		case <-restart:
			restart = nil
			if err := victim.launch(); err != nil {
				if running {
					<-sent
				}
				return reports, err
			}
			c.view.logLine("%s is started again (process %d)", victim.name, victim.process.pid())
		}
	}
	return reports, errors.Join(errs...)
}

func (c *cluster) snapshots() (reports []emitter.Report) {
	for _, e := range c.emitters {
		reports = append(reports, e.Snapshot())
	}
	return reports
}

// claimTime is for how long a killed distributor's claims last, with a margin.
const claimTime = 40 * time.Second

// settle waits until the streams are empty and the distributors hold nothing.
func (c *cluster) settle(ctx context.Context, reports []emitter.Report) {
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	final := func() []emitter.Report { return reports }
	for first := true; ; first = false {
		c.poll(ctx)
		if c.isIdle() || ctx.Err() != nil {
			if c.counts(clusterReport(reports)) != c.view.lastCounts {
				c.view.show(c.table(final))
			}
			return
		}
		if first {
			c.view.logLine("everything is sent; waiting for what the streams still hold")
		}
		c.view.show(c.table(final))
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (c *cluster) isIdle() bool {
	for _, d := range c.distributors {
		if d.holds() > 0 {
			return false
		}
	}
	return c.stored == 0
}

// poll reads the state of all processes.
func (c *cluster) poll(ctx context.Context) {
	since := time.Since(c.polled)
	if since > refresh/2 {
		c.polled = time.Now()
	} else {
		since = 0
	}
	var polling sync.WaitGroup
	for _, d := range c.distributors {
		polling.Go(func() { d.poll(ctx, since) })
	}
	polling.Go(func() {
		var err error
		if c.stored, err = c.nats.stored(ctx); err != nil {
			c.stored = -1
		}
	})
	polling.Wait()
}
