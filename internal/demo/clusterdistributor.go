package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// clusterDistributor is a distributor that is a process of its own. It keeps its ports and its
// directory when it is started again.
type clusterDistributor struct {
	name        string
	dir         string
	program     string
	port, admin int
	environment []string
	process     *child
	isDown      bool // on purpose

	up     bool // it answers
	ledger clusterTerms
	// accepts and delivers are packets per second since the ledger was before.
	accepts, delivers int64
	before            clusterTerms
}

// clusterTerms are the terms of a distributor's ledger, since its process started.
type clusterTerms struct {
	Accepted, Delivered, Queued packetTerm
	InFlight                    packetTerm `json:"in_flight"`
	Unaccounted                 int64      `json:"unaccounted_messages"`
}

type packetTerm struct{ Packets, Messages int64 }

func newClusterDistributor(number int, program, dir string, environment []string) (*clusterDistributor, error) {
	free, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	d := &clusterDistributor{name: fmt.Sprintf("distributor-%d", number), program: program, port: free[0], admin: free[2]}
	d.dir = filepath.Join(dir, d.name)
	loopback := "127.0.0.1:"
	d.environment = append([]string{
		"LISTEN_ADDR=127.0.0.1", "PORT=" + strconv.Itoa(d.port), "METRICS_ADDR=" + loopback + strconv.Itoa(free[1]), "ADMIN_ADDR=" + loopback + strconv.Itoa(d.admin),
		"DATA_DIR=" + filepath.Join(d.dir, "data"), "HEALTH_CHECK_INTERVAL_SEC=1", "SLOW_START_SEC=1", "DRAIN_SEC=0",
	}, environment...)
	return d, os.MkdirAll(d.dir, 0o700)
}

func (d *clusterDistributor) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", d.port, path)
}

func (d *clusterDistributor) adminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", d.admin, path)
}

// launch starts the process without waiting.
func (d *clusterDistributor) launch() (err error) {
	d.process, err = startChild(d.name, d.dir, d.environment, d.program, "distributor")
	d.isDown = err != nil
	return err
}

// awaitReady waits until it accepts packets.
func (d *clusterDistributor) awaitReady(ctx context.Context) error {
	return d.process.await(ctx, func(ctx context.Context) bool { return get(ctx, d.url("/readyz"), nil) == nil })
}

// kill ends the process with SIGKILL.
func (d *clusterDistributor) kill() {
	d.isDown = true
	d.process.kill()
}

// poll reads the ledger, and computes the pace unless no time has passed since the last one
// was.
func (d *clusterDistributor) poll(ctx context.Context, since time.Duration) {
	d.ledger = clusterTerms{}
	d.up = get(ctx, d.url("/ledger"), &d.ledger) == nil
	if since == 0 {
		return
	}
	if d.ledger.Accepted.Packets < d.before.Accepted.Packets {
		d.before = clusterTerms{} // of another process
	}
	perSecond := func(now, before packetTerm) int64 {
		return int64(float64(now.Packets-before.Packets)/since.Seconds() + 0.5)
	}
	d.accepts, d.delivers = perSecond(d.ledger.Accepted, d.before.Accepted), perSecond(d.ledger.Delivered, d.before.Delivered)
	d.before = d.ledger
}

// holds is how many packets it has from the streams and has not delivered.
func (d *clusterDistributor) holds() int64 {
	return d.ledger.Queued.Packets + d.ledger.InFlight.Packets
}

// state returns one word for the state of the process.
func (d *clusterDistributor) state() string {
	switch {
	case d.isDown:
		return "killed"
	case !d.process.isRunning():
		return "ended"
	case !d.up:
		return "starting"
	}
	return "running"
}
