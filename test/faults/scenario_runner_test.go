package faults

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scenarioRunner runs a scenario.
type scenarioRunner struct {
	*system
	scenario
	stepResults []stepResult
}

func newScenarioRunner(s *system, sc scenario) *scenarioRunner {
	return &scenarioRunner{system: s, scenario: sc}
}

// play starts the system and the loads, runs all steps, and reports violations
// and measurements.
func (g *scenarioRunner) play() {
	g.t.Helper()
	if g.Cgroup > 0 {
		g.distributor.within = newCgroup(g.t, g.Cgroup).command()
		g.t.Cleanup(g.distributor.kill) // before the group is removed
	}
	g.start()
	for _, analyzerSpec := range g.Loads {
		l := newLoad(analyzerSpec.Name, analyzerSpec.Emitters, analyzerSpec.Connections, analyzerSpec.Rate.of(g.capacity()))
		l.filler.Store(int64(analyzerSpec.Filler))
		g.emitters.begin(l)
	}
	g.emitters.awaitMore(g.t, accepted, 20)
	whole := g.open(step{Assert: g.Assert})
	g.do(g.Steps, nil)
	g.close(whole)
	g.emitters.halt()
	g.hold()
}

// do runs steps in order.
func (g *scenarioRunner) do(steps []step, it *analyzer) {
	for _, st := range steps {
		g.t.Helper()
		c := g.open(st)
		g.change(st, it)
		duration := st.duration()
		switch {
		case st.Each:
			for _, a := range g.analyzers {
				g.do(st.Steps, a)
			}
		case len(st.Steps) > 0:
			for end := time.Now().Add(duration); ; {
				g.do(st.Steps, it)
				if !time.Now().Before(end) {
					break
				}
			}
		default:
			g.wait(duration)
		}
		g.await(st.Until)
		g.close(c)
	}
}

func (st step) duration() time.Duration {
	if *judge && st.InFull > 0 {
		return st.InFull
	}
	return st.For
}

// open starts the record of a step.
func (g *scenarioRunner) open(st step) stepResult {
	return stepResult{step: st, from: time.Now(), before: g.gauges()}
}

// close completes the record of a step.
func (g *scenarioRunner) close(c stepResult) {
	c.to = time.Now()
	c.took = c.to.Sub(c.from)
	c.after = g.gauges()
	c.memory = g.distributor.peakMemory()
	c.healthy = int(c.after.value["distributor_healthy_analyzers"])
	g.stepResults = append(g.stepResults, c)
	g.t.Logf("%s is over after %v", c.title(), rounded(c.took))
}

// gauges scrapes the distributor; the result is empty while it cannot respond.
func (g *scenarioRunner) gauges() gauges {
	if g.distributor.stopped {
		return gauges{at: time.Now()}
	}
	now, err := g.distributor.gauges()
	if err != nil {
		g.t.Logf("no metrics: %v", err)
	}
	return now
}

// hold reports the violations and measurements of all steps.
func (g *scenarioRunner) hold() {
	g.t.Helper()
	sent := g.emitters.records()
	selectAnalyzers := make(map[string]stepResult)
	for _, c := range g.stepResults {
		c.sent = sent.between(c.from, c.to)
		if c.Name != "" {
			g.report("%s", c.measured())
			selectAnalyzers[c.Name] = c
		}
		for _, complaint := range c.Assert.violations(c) {
			g.t.Errorf("%s: %s", c.title(), complaint)
		}
		for _, delay := range c.Assert.latencyViolations(c, selectAnalyzers) {
			if *judge {
				g.latencyViolations = append(g.latencyViolations, c.title()+": "+delay)
			} else {
				g.t.Logf("%s: with -judge this would fail: %s", c.title(), delay)
			}
		}
	}
}

func (c stepResult) title() string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("a step of %v", rounded(c.took))
}

// change applies a step's changes.
func (g *scenarioRunner) change(st step, it *analyzer) {
	g.t.Helper()
	g.changeDistributor(st.Distributor)
	for _, name := range slices.Sorted(maps.Keys(st.Analyzers)) {
		for _, a := range g.selectAnalyzers(name, it) {
			a.apply(g.withInjection(st.Analyzers[name]))
		}
	}
	for name, change := range st.Loads {
		for _, l := range g.emitters.loads {
			if name == allLoads || name == l.name {
				l.apply(change)
			}
		}
	}
	if st.Burst != nil {
		g.emitters.burst(st.Name, *st.Burst)
	}
}

// withInjection replaces Inject by the kind's change.
func (g *scenarioRunner) withInjection(c change) change {
	if c.Inject {
		return g.Kinds[0].Inject
	}
	return c
}

// selectAnalyzers returns the named analyzers.
func (g *scenarioRunner) selectAnalyzers(name string, it *analyzer) []*analyzer {
	switch name {
	case "all":
		return g.analyzers
	case "it":
		return []*analyzer{it}
	}
	number, _ := strconv.Atoi(strings.TrimPrefix(name, "analyzer-")) // was validated
	return g.analyzers[number-1 : number]
}

// apply applies a change to an analyzer.
func (a *analyzer) apply(c change) {
	a.t.Helper()
	switch {
	case c.Kill:
		a.kill()
	case c.Stop:
		a.pause()
	case c.Restore:
		a.restore()
	default:
		a.behave(c.Behaviour)
	}
}

// apply applies a change to a load.
func (l *load) apply(c loadChange) {
	if c.Times > 0 {
		l.times(c.Times)
	}
	if c.ClosedLoop {
		l.closedLoop()
	}
	if c.Filler != nil {
		l.filler.Store(int64(*c.Filler))
	}
}

func (g *scenarioRunner) changeDistributor(c change) {
	g.t.Helper()
	switch {
	case c.Stop:
		g.distributor.signal(sigStop)
	case c.Restore:
		g.distributor.signal(sigCont)
	}
	for range c.Idle {
		g.connect()
	}
	for range c.Halves {
		if _, err := fmt.Fprint(g.connect(), "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			g.t.Fatal(err)
		}
	}
}

// connect opens a connection to the distributor until the end of the test.
func (g *scenarioRunner) connect() net.Conn {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(g.distributor.port))
	connection, err := net.DialTimeout("tcp", address, waitTimeout())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { connection.Close() })
	return connection
}
