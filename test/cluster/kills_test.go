//go:build linux

package cluster

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var kills = flag.Int("kills", 3, "how often TestProcessesKilled kills a process")

// kind is a kind of processes.
type kind int

const (
	distributors kind = iota
	servers
	recorders
	kinds
)

func (k kind) String() string { return [...]string{"distributor", "NATS server", "analyzer"}[k] }

// kill is a SIGKILL; the process ended between two times.
type kill struct {
	kind         kind
	number       int
	began, ended time.Time
}

// patient makes distributors wait for analyzers on a busy machine: after a timeout a packet would
// be sent twice.
var patient = []string{"SENDER_TIMEOUT_MS=20000", "HEALTH_CHECK_TIMEOUT_SEC=10"}

// Processes of each kind are killed under load, one after the other. No accepted packet is lost,
// each duplicate is explained by a kill, and the split of the cluster follows the weights.
func TestProcessesKilled(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 3, distributors: 3, recorders: true, environment: append([]string{"LOG_LEVEL=debug", "LOG_FORMAT=json"}, patient...)})
	var killed []kill
	var order []int
	for range *kills {
		if len(order) == 0 {
			order = rand.Perm(int(kinds))
		}
		one := kill{kind: kind(order[0]), number: rand.IntN(3), began: time.Now()}
		order = order[1:]
		y.kill(one)
		one.ended = time.Now()
		killed = append(killed, one)
		y.emitters.awaitMore(t, 300)
		y.restart(one)
		t.Logf("%s %d was killed, and was back %v later", one.kind, one.number+1, time.Since(one.ended).Round(time.Millisecond))
		y.emitters.awaitMore(t, 300)
	}
	y.checkSplit()
	y.finish()
	y.explainDuplicates(killed)
}

func (y *system) kill(one kill) {
	switch one.kind {
	case distributors:
		y.distributors[one.number].kill()
	case servers:
		y.servers[one.number].Kill()
	default:
		y.recorders[one.number].kill()
	}
}

func (y *system) restart(one kill) {
	switch one.kind {
	case distributors:
		y.distributors[one.number].start()
	case servers:
		y.servers[one.number].Restart()
	default:
		y.recorders[one.number].start()
	}
}

// checkSplit fails the test unless the messages of all distributors together are split by the
// weights, within the limit, at every scrape while 2000 packets are accepted.
func (y *system) checkSplit() {
	y.t.Helper()
	before := make([]shares, len(y.distributors))
	await(y.t, "all analyzers have their shares at every distributor, which all know each other", func() bool {
		for i, d := range y.distributors {
			before[i] = d.scrape()
			if !before[i].settled() || d.ask("GET", "/v1/cluster", "", "").get("sum.distributors") != float64(len(y.distributors)) {
				return false
			}
		}
		return true
	})
	worst, bound, scrapes := 0.0, 0.0, 0
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for until := y.emitters.count.Load() + 2000; y.emitters.count.Load() < until; scrapes++ {
		<-look.C
		sums, total := make(map[string]float64), 0.0
		for i, d := range y.distributors {
			now := d.scrape()
			bound = max(bound, now.limit) // n × the bound with the largest packet of any
			for id, messages := range now.messages {
				// The deviation of each analyzer at the beginning does not count for the messages
				// that it got since.
				since := messages - before[i].messages[id] - before[i].deviation[id]
				sums[id] += since
				total += since
			}
		}
		for i, weight := range weights {
			off := math.Abs(sums[fmt.Sprintf("analyzer-%d", i+1)] - weight*total)
			worst = max(worst, off)
			if off > bound+1 {
				y.t.Fatalf("analyzer %d has %v of %v messages: %v off its share, and the bound is %v", i+1, sums, total, off, bound)
			}
		}
	}
	if bound < 3 || bound > 60 {
		y.t.Errorf("the bound is %v for three distributors and packets of at most 4 messages", bound)
	}
	y.t.Logf("%d scrapes, at most %.1f messages off, the bound is %v", scrapes, worst, bound)
}
