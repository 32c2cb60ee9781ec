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

// run starts the system and the loads, runs all steps, and reports violations
// and measurements.
func (r *scenarioRunner) run() {
	r.t.Helper()
	if r.Cgroup > 0 {
		r.distributor.within = newCgroup(r.t, r.Cgroup).command()
		r.t.Cleanup(r.distributor.kill) // before the group is removed
	}
	r.start()
	for _, spec := range r.Loads {
		l := newLoad(spec.Name, spec.Emitters, spec.Connections, spec.Rate.of(r.capacity()))
		l.filler.Store(int64(spec.Filler))
		r.emitters.begin(l)
	}
	r.emitters.awaitMore(r.t, accepted, 20)
	all := r.beginStep(step{Assert: r.Assert})
	r.do(r.Steps, nil)
	r.endStep(all)
	r.emitters.halt()
	r.reportSteps()
}

// do runs steps in order.
func (r *scenarioRunner) do(steps []step, it *analyzer) {
	for _, st := range steps {
		r.t.Helper()
		result := r.beginStep(st)
		r.change(st, it)
		duration := st.duration()
		switch {
		case st.Each:
			for _, a := range r.analyzers {
				r.do(st.Steps, a)
			}
		case len(st.Steps) > 0:
			for end := time.Now().Add(duration); ; {
				r.do(st.Steps, it)
				if !time.Now().Before(end) {
					break
				}
			}
		default:
			r.wait(duration)
		}
		r.await(st.Until)
		r.endStep(result)
	}
}

func (st step) duration() time.Duration {
	if *judge && st.InFull > 0 {
		return st.InFull
	}
	return st.For
}

// beginStep starts the record of a step.
func (r *scenarioRunner) beginStep(st step) stepResult {
	return stepResult{step: st, from: time.Now(), before: r.gauges()}
}

// endStep completes the record of a step.
func (r *scenarioRunner) endStep(result stepResult) {
	result.to = time.Now()
	result.took = result.to.Sub(result.from)
	result.after = r.gauges()
	result.memory = r.distributor.peakMemory()
	result.healthy = int(result.after.value["distributor_healthy_analyzers"])
	r.stepResults = append(r.stepResults, result)
	r.t.Logf("%s is over after %v", result.title(), rounded(result.took))
}

// gauges scrapes the distributor; the result is empty while it cannot respond.
func (r *scenarioRunner) gauges() gauges {
	if r.distributor.stopped {
		return gauges{at: time.Now()}
	}
	now, err := r.distributor.gauges()
	if err != nil {
		r.t.Logf("no metrics: %v", err)
	}
	return now
}

// reportSteps reports the violations and measurements of all steps.
func (r *scenarioRunner) reportSteps() {
	r.t.Helper()
	sent := r.emitters.records()
	results := make(map[string]stepResult)
	for _, result := range r.stepResults {
		result.sent = sent.between(result.from, result.to)
		if result.Name != "" {
			r.report("%s", result.measured())
			results[result.Name] = result
		}
		for _, violation := range result.Assert.violations(result) {
			r.t.Errorf("%s: %s", result.title(), violation)
		}
		for _, violation := range result.Assert.breakerViolations(result) {
			if !r.busy(result, maxBreakerLateness, violation) {
				r.t.Errorf("%s: %s", result.title(), violation)
			}
		}
		for _, violation := range result.Assert.latencyViolations(result, results) {
			switch {
			case !*judge:
				r.t.Logf("%s: with -judge this would fail: %s", result.title(), violation)
			case !r.busy(result, maxLateness, violation):
				r.latencyViolations = append(r.latencyViolations, result.title()+": "+violation)
			}
		}
	}
}

// busy reports whether the machine was so busy in a step that a violation is not judged, and then
// adds it to the result.
func (r *scenarioRunner) busy(result stepResult, limit time.Duration, violation string) bool {
	lateness := r.timers.lateness(result.from, result.to)
	if lateness > limit {
		r.report("not judged, since timers were up to %v late: %s: %s", rounded(lateness), result.title(), violation)
	}
	return lateness > limit
}

func (r stepResult) title() string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("a step of %v", rounded(r.took))
}

// change applies a step's changes.
func (r *scenarioRunner) change(st step, it *analyzer) {
	r.t.Helper()
	r.changeDistributor(st.Distributor)
	for _, name := range slices.Sorted(maps.Keys(st.Analyzers)) {
		for _, a := range r.selectAnalyzers(name, it) {
			a.apply(r.withInjection(st.Analyzers[name]))
		}
	}
	for name, change := range st.Loads {
		for _, l := range r.emitters.loads {
			if name == allLoads || name == l.name {
				l.apply(change)
			}
		}
	}
	if st.Burst != nil {
		r.emitters.burst(st.Name, *st.Burst)
	}
}

// withInjection replaces Inject by the kind's change.
func (r *scenarioRunner) withInjection(c change) change {
	if c.Inject {
		return r.Kinds[0].Inject
	}
	return c
}

// selectAnalyzers returns the named analyzers.
func (r *scenarioRunner) selectAnalyzers(name string, it *analyzer) []*analyzer {
	switch name {
	case "all":
		return r.analyzers
	case "it":
		return []*analyzer{it}
	}
	number, _ := strconv.Atoi(strings.TrimPrefix(name, "analyzer-")) // was validated
	return r.analyzers[number-1 : number]
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
		l.scale(c.Times)
	}
	if c.ClosedLoop {
		l.closedLoop()
	}
	if c.Filler != nil {
		l.filler.Store(int64(*c.Filler))
	}
}

func (r *scenarioRunner) changeDistributor(c change) {
	r.t.Helper()
	switch {
	case c.Stop:
		r.distributor.signal(sigStop)
	case c.Restore:
		r.distributor.signal(sigCont)
	}
	for range c.Idle {
		r.connect()
	}
	for range c.Halves {
		if _, err := fmt.Fprint(r.connect(), "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			r.t.Fatal(err)
		}
	}
}

// connect opens a connection to the distributor until the end of the test.
func (r *scenarioRunner) connect() net.Conn {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(r.distributor.port))
	connection, err := net.DialTimeout("tcp", address, waitTimeout())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { connection.Close() })
	return connection
}
