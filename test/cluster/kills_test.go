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

// kind is one of processes.
type kind int

const (
	distributors kind = iota
	servers
	recorders
	kinds
)

func (k kind) String() string { return [...]string{"distributor", "NATS server", "analyzer"}[k] }

// kill is a SIGKILL.
type kill struct {
	kind   kind
	number int
	at     time.Time
}

// settling is longer than it takes from the delivery of a packet to the acknowledgement of its
// envelope.
const settling = 15 * time.Second

// causeOf returns why a packet that was delivered came again, "" if no kill explains it.
func causeOf(first, again delivery, killed []kill) string {
	of := func(k kind, number int) bool {
		for _, one := range killed {
			if one.kind == k && (number < 0 || one.number == number) && !one.at.Before(first.at) && one.at.Before(again.at) && one.at.Sub(first.at) < settling {
				return true
			}
		}
		return false
	}
	switch {
	case of(recorders, first.recorder):
		return "an analyzer was killed before its answer"
	case of(distributors, first.distributor):
		return "a distributor was killed before its acknowledgement"
	case of(servers, -1):
		return "a NATS server was killed before it had the acknowledgement"
	}
	return ""
}

// explainDuplicates counts duplicates by cause. One without a cause fails the test.
func (y *system) explainDuplicates(killed []kill) {
	y.t.Helper()
	causes := make(map[string]int)
	for id, all := range y.deliveries() {
		for i := 1; i < len(all); i++ {
			cause := causeOf(all[i-1], all[i], killed)
			if cause == "" {
				y.t.Errorf("%s was delivered by distributor %d to analyzer %d, and %v later by distributor %d to analyzer %d", id,
					all[i-1].distributor+1, all[i-1].recorder+1, all[i].at.Sub(all[i-1].at), all[i].distributor+1, all[i].recorder+1)
			}
			causes[cause]++
		}
	}
	for cause, packets := range causes {
		y.t.Logf("%d duplicates: %s", packets, cause)
	}
}

// patient makes distributors wait for analyzers on a busy machine: what is late is sent twice.
var patient = []string{"SENDER_TIMEOUT_MS=20000", "HEALTH_CHECK_TIMEOUT_SEC=10"}

// Processes of any kind are killed under load, one after the other. Nothing accepted is lost,
// each duplicate is explained by a kill, and the split of the whole is that of the weights.
func TestProcessesKilled(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 3, distributors: 3, recorders: true, environment: patient})
	var killed []kill
	var order []int
	for range *kills {
		if len(order) == 0 {
			order = rand.Perm(int(kinds))
		}
		one := kill{kind: kind(order[0]), number: rand.IntN(3), at: time.Now()}
		order = order[1:]
		killed = append(killed, one)
		y.kill(one)
		y.emitters.awaitMore(t, 300)
		y.restart(one)
		t.Logf("%s %d was killed, and was back %v later", one.kind, one.number+1, time.Since(one.at).Round(time.Millisecond))
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
				// What each was off at the beginning is no part of what it got since.
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
