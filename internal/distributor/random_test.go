package distributor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// operator changes a distributor at random.
type operator struct {
	*system
	t         *testing.T
	random    *rand.Rand
	analyzers []*analyzertest.Analyzer
	names     int
	leaving   int // analyzers that were removed or moved

	mu     sync.Mutex // guards proofs
	proofs []DrainProof
}

// unused returns an analyzer that is no target.
func (o *operator) unused() (url string, ok bool) {
	for _, at := range o.random.Perm(len(o.analyzers)) {
		url := o.analyzers[at].URL()
		if !slices.ContainsFunc(o.Config().Targets, func(t Target) bool { return t.URL == url }) {
			return url, true
		}
	}
	return "", false
}

func (o *operator) weight() float64 { return 0.05 + o.random.Float64() }

// step makes one change. The first analyzer stays ready, so that no packet is refused.
func (o *operator) step() {
	targets := o.Config().Targets
	id := targets[o.random.IntN(len(targets))].ID
	first := id == targets[0].ID
	url, ok := o.unused()
	apply := func(change func(*Config)) {
		o.t.Helper()
		if err := o.reconfigure(o.t, change); err != nil {
			o.t.Fatal(err)
		}
	}
	switch kind := o.random.IntN(8); {
	case kind == 0 && ok && len(targets) < 6:
		o.names++
		name := fmt.Sprint("added-", o.names%5, "-", len(targets)) // ids are used again
		if _, taken := o.find(name); !taken {
			apply(func(c *Config) { c.Targets = append(c.Targets, Target{ID: name, URL: url, Weight: o.weight()}) })
		}
	case kind == 1 && !first:
		o.leaving++
		apply(func(c *Config) { c.remove(id); c.DrainTimeout = time.Duration(o.random.IntN(100)) * time.Millisecond })
	case kind == 2 && !first && ok:
		o.leaving++
		apply(func(c *Config) { c.change(id, func(t *Target) { t.URL = url }) })
	case kind == 3 && !first:
		o.drain(id, []string{StateDrain, StateMaint}[o.random.IntN(2)])
	case kind == 4 && !first:
		o.setState(o.t, id, StateReady)
	case kind == 5 && !first:
		if err := o.OpenBreaker(id, time.Now().Add(20*time.Millisecond)); err != nil {
			o.t.Error(err)
		}
	case kind == 6:
		if err := o.ResetBreaker(id); err != nil {
			o.t.Error(err)
		}
	default:
		apply(func(c *Config) {
			c.change(id, func(t *Target) { t.Weight = o.weight() })
			c.Analyzer.Concurrency = 1 + o.random.IntN(8)
		})
	}
}

// drain drains an analyzer and checks the proof.
func (o *operator) drain(id, state string) {
	o.setState(o.t, id, state)
	proof, err := o.Drain(o.t.Context(), id, time.Now().Add(time.Duration(o.random.IntN(50))*time.Millisecond))
	if err != nil || proof.Remaining != 0 {
		o.t.Fatalf("%+v, %v", proof, err)
	}
	checkProof(o.t, proof)
}

// look checks the ledger, and that the deviation of each member from its share is within the limit.
func (o *operator) look() {
	// A snapshot may be taken while packets move.
	until(o.t, "no message is unaccounted", func() bool { return o.Status().Unaccounted == 0 })
	stats := o.router.Stats()
	for _, m := range stats.Members {
		if off := max(m.DeviationMessages, -m.DeviationMessages); off > stats.MaxDeviationMessages+1e-3 {
			o.t.Errorf("%s is %v messages off its share, the limit is %v", m.ID, off, stats.MaxDeviationMessages)
		}
	}
}

// Hundreds of random changes are made under load, with packets of 1 to 100 messages: nothing is
// lost or refused, the ledger balances, all proofs add up, and counters never decrease.
func TestRandomReconfigurations(t *testing.T) {
	analyzers, targets := threeScripted(t)
	for range 5 {
		analyzers = append(analyzers, analyzertest.New(t))
	}
	analyzers[1].Behave(analyzertest.Behaviour{Delay: 5 * time.Millisecond})
	settings := quick(t, targets...)
	settings.Analyzer.MaxFailures = 1000
	o := &operator{system: startAlone(t, settings), t: t, random: rand.New(rand.NewPCG(1, 2)), analyzers: analyzers}
	o.onRemoved = func(_, _ string, p DrainProof) { // no analyzer leaves before the first step
		o.mu.Lock()
		defer o.mu.Unlock()
		o.proofs = append(o.proofs, p)
	}
	until(t, "all analyzers are healthy", func() bool { return o.eligible() == len(targets) })
	end := o.load(4, true)
	before := o.countersByAnalyzer()
	for range 300 {
		o.step()
		o.look()
		after := o.countersByAnalyzer()
		for id, count := range before {
			if after[id] < count {
				t.Fatalf("the counter of %s fell from %d to %d", id, count, after[id])
			}
		}
		before = after
	}
	end()
	until(t, "all is delivered, and all have left", func() bool {
		status := o.Status()
		return status.Delivered == status.Accepted && len(status.Leaving) == 0
	})
	o.onlyAccepted(t)
	o.stop(t)
	o.nothingLost(t, analyzers...)
	if len(o.proofs) != o.leaving {
		t.Errorf("%d proofs of %d analyzers that left", len(o.proofs), o.leaving)
	}
	for _, p := range o.proofs {
		checkProof(t, p)
	}
	status := o.Status()
	t.Logf("%d packets of %d messages, %d analyzers left, %v", status.Accepted.Packets, status.Accepted.Messages, o.leaving, before)
}

// countersByAnalyzer returns the packets routed to each id that was ever present.
func (o *operator) countersByAnalyzer() map[string]int64 {
	counters := make(map[string]int64)
	stats := o.router.Stats()
	for _, m := range slices.Concat(stats.Members, stats.Former) {
		counters[m.ID] = m.Routed.Packets
	}
	return counters
}
