//go:build linux

package cluster

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// system is NATS servers, distributors, three analyzers and emitters.
type system struct {
	t            *testing.T
	servers      natstest.Cluster
	distributors []*distributor
	analyzers    []*analyzertest.Analyzer
	recorders    []*recorder // instead of analyzers
	emitters     *emitters
}

// weights are the weights of the analyzers.
var weights = [...]float64{0.5, 0.3, 0.2}

// setup has the properties of a system.
type setup struct {
	servers, distributors int
	environment           []string
	// own, unless nil, returns more of the environment of a distributor, by its number from 0.
	own func(number int) []string
	// programs, unless nil, returns the binary of a distributor, by its number from 0.
	programs func(number int) string
	// apart gives each distributor an analyzer of its own.
	apart bool
	// recorders runs the analyzers as processes that record the delivering distributor.
	recorders bool
	nats      natstest.Options
	// group is the group of the first distributor's process.
	group uint32
	// kills shortens the time after which others receive the packets of a killed distributor,
	// unless times are judged.
	kills bool
}

func newSystem(t *testing.T, s setup) *system {
	t.Helper()
	y := &system{t: t, servers: natstest.StartCluster(t, s.servers, s.nats)}
	for i := range weights {
		if s.recorders {
			y.recorders = append(y.recorders, newRecorder(t, i+1, s.distributors))
		} else {
			y.analyzers = append(y.analyzers, analyzertest.New(t))
		}
	}
	environment := append([]string{
		"NATS_URL=" + y.servers.URL(), "NATS_MONITOR_URL=" + y.servers.Monitor(), fmt.Sprintf("JETSTREAM_REPLICAS=%d", s.servers),
		"JETSTREAM_MAX_BYTES=256MiB",
	}, s.environment...)
	for i := range s.distributors {
		targets := y.targets(i)
		if s.apart {
			targets = y.analyzers[i].URL() + "=1"
		}
		of := append([]string{"ANALYZERS=" + targets}, environment...)
		if s.own != nil {
			of = append(of, s.own(i)...)
		}
		d := newDistributor(t, i+1, of)
		if i == 0 {
			d.group = s.group
		}
		if s.programs != nil {
			d.program = s.programs(i)
		}
		d.start()
		if i == 0 && s.kills && !*judge {
			y.changeConsumers(func(c *jetstream.ConsumerConfig) { c.AckWait = ackWait() })
			d.stop()
			d.start() // it asks for the time at its start
		}
		y.distributors = append(y.distributors, d)
	}
	y.emitters = newEmitters(t, y.distributors)
	y.emitters.awaitMore(t, 300)
	return y
}

// ackWait is the duration of a claim on envelopes that is not extended, in rows with setup.kills.
func ackWait() time.Duration {
	if *judge {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// connect returns a connection to NATS, and the API of JetStream.
func (y *system) connect() (*nats.Conn, jetstream.JetStream) {
	y.t.Helper()
	conn, err := nats.Connect(y.servers.URL(), nats.MaxReconnects(-1))
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(conn.Close)
	api, err := jetstream.New(conn)
	if err != nil {
		y.t.Fatal(err)
	}
	return conn, api
}

const partitions = 3

func streamOf(partition int) string { return fmt.Sprintf("LOGSTREAMER-%d", partition) }

// changeConsumers changes the consumers of all streams.
func (y *system) changeConsumers(change func(*jetstream.ConsumerConfig)) {
	y.t.Helper()
	_, api := y.connect()
	for partition := range partitions {
		stream := streamOf(partition)
		await(y.t, stream+" is changed", func() bool { // the server that is asked may not know the stream yet
			consumer, err := api.Consumer(y.t.Context(), stream, "distributors")
			if err != nil {
				return false
			}
			config := consumer.CachedInfo().Config
			change(&config)
			_, err = api.UpdateConsumer(y.t.Context(), stream, config)
			return err == nil
		})
	}
}

// targets returns the analyzers of a distributor.
func (y *system) targets(distributor int) string {
	var all []string
	for i, weight := range weights {
		url := ""
		if len(y.recorders) > 0 {
			url = "http://127.0.0.1:" + y.recorders[i].port(distributor)
		} else {
			url = y.analyzers[i].URL()
		}
		all = append(all, fmt.Sprintf("%s=%v", url, weight))
	}
	return strings.Join(all, ",")
}

// finish stops the load, waits until every packet is delivered, and compares. It returns the number
// of packets that were delivered again.
func (y *system) finish() (duplicates int) {
	y.t.Helper()
	y.emitters.halt()
	e := y.emitters
	e.mu.Lock()
	defer e.mu.Unlock()
	missing := func() (lost []string) {
		taken := y.taken()
		for id := range e.accepted {
			if taken[id] == 0 {
				lost = append(lost, id)
			}
		}
		return lost
	}
	deadline := time.Now().Add(waitTimeout)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	lost := missing()
	for ; len(lost) > 0 && time.Now().Before(deadline); lost = missing() {
		<-ticker.C
	}
	surplus := 0
	for id, times := range y.taken() {
		duplicates += times - 1
		switch {
		case e.accepted[id]:
		case e.unknown[id]:
			surplus++
		default:
			y.t.Errorf("%s was delivered and never sent", id)
		}
	}
	y.t.Logf("%d accepted, %d lost, %d duplicates, refused %v (99 %% within %v), %d without a response, %d of those and of the refused delivered",
		len(e.accepted), len(lost), duplicates, e.refused, y.p99Locked(), len(e.unknown)-int(e.refusals.Load()), surplus)
	if len(lost) > 0 {
		y.t.Errorf("%d accepted packets are lost: %.200q", len(lost), lost)
	}
	for _, d := range y.distributors {
		select {
		case <-d.ended:
		default:
			d.checkLedger()
		}
	}
	return duplicates
}

func (y *system) p99Locked() time.Duration {
	y.emitters.mu.Unlock()
	defer y.emitters.mu.Lock()
	return y.emitters.refusalP99().Round(time.Millisecond)
}

// taken returns the number of deliveries of each packet.
func (y *system) taken() map[string]int {
	all := make(map[string]int)
	for _, a := range y.analyzers {
		for id, times := range a.Taken() {
			all[id] += times
		}
	}
	for id, deliveries := range y.deliveries() {
		all[id] = len(deliveries)
	}
	return all
}

func (y *system) behave(b analyzertest.Behaviour) {
	for _, a := range y.analyzers {
		a.Behave(b)
	}
}

// wait waits while the load continues.
func (y *system) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-y.t.Context().Done():
	}
}

// waitTimeout bounds every wait.
const waitTimeout = 2 * time.Minute

// await polls until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(waitTimeout); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func linesOf(text []byte) iter.Seq[string] { return strings.Lines(string(text)) }

// rounds is the number of repetitions of a fault.
func rounds(long int) int {
	if *judge {
		return long
	}
	return 1
}
