package faults

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// scenario is a file of the directory scenarios: the system, the steps and the
// assertions. Conservation is always checked.
type scenario struct {
	Name, Fault, Promise string
	// Journal is memory or disk.
	Journal string
	// Short scenarios also run with -short.
	Short bool
	// Documented scenarios use the documented defaults instead of
	// quickSettings.
	Documented bool
	Settings   map[string]string
	// Cgroup is the distributor's memory limit in MiB, if any.
	Cgroup int
	// Analyzers defaults to defaultAnalyzers.
	Analyzers []analyzerSpec
	// Loads defaults to the matrix's load.
	Loads []loadSpec
	// Kinds makes one scenario of each kind of fault, whose name is appended.
	Kinds []faultKind
	Steps []step
	// Assert must hold from the first step to the last.
	Assert assertions
}

// loadSpec specifies a load.
type loadSpec struct {
	Name        string
	Emitters    int // default 1
	Connections int // of all emitters together, default one per emitter
	Rate        rate
	Filler      int
}

// faultKind is one of several faults of an analyzer.
type faultKind struct {
	Name, Fault string
	Inject      change
}

// step applies changes, lasts for a time and until a condition holds, and then
// checks its assertions.
type step struct {
	// Name includes the step's times in the result.
	Name        string
	Distributor change
	// Analyzers are named analyzer-1, all, or it.
	Analyzers map[string]change
	// Loads are named as in the scenario, or all.
	Loads map[string]loadChange
	Burst *burst
	For   time.Duration
	// InFull replaces For with -judge.
	InFull time.Duration `yaml:"in-full"`
	Until  condition
	// Steps are repeated for the time of For, or done once without it.
	Steps []step
	// Each does the steps with each analyzer in turn, as it.
	Each   bool
	Assert assertions
}

// change is a change of a process.
type change struct {
	analyzertest.Behaviour `yaml:",inline"`
	// Inject injects the scenario's kind of fault.
	Inject bool
	Kill   bool
	Stop   bool // SIGSTOP
	// Restore undoes every injected fault.
	Restore bool
	// Idle is the number of idle connections opened to the distributor, Halves
	// of those that send half of a request.
	Idle, Halves int
}

// loadChange is a change of a load.
type loadChange struct {
	Times      float64 // multiple of the default rate
	ClosedLoop bool    `yaml:"closed-loop"`
	Filler     *int
}

// rate is in packets per second, or in per cent of the analyzers' capacity.
type rate struct {
	number   float64
	relative bool
}

// UnmarshalYAML parses 1200 or 70%.
func (r *rate) UnmarshalYAML(text []byte) (err error) {
	number, relative := strings.CutSuffix(strings.Trim(string(bytes.TrimSpace(text)), `"'`), "%")
	r.relative = relative
	r.number, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
	return err
}

// of returns packets per second.
func (r rate) of(capacity float64) float64 {
	if r.relative {
		return r.number / 100 * capacity
	}
	return r.number
}

// expandKinds returns a scenario for each kind, or the scenario itself.
func (sc scenario) expandKinds() []scenario {
	if len(sc.Kinds) == 0 {
		return []scenario{sc}
	}
	var all []scenario
	for _, k := range sc.Kinds {
		one := sc
		one.Name, one.Fault = sc.Name+"-"+k.Name, k.Fault+": "+sc.Fault
		one.Kinds = []faultKind{k}
		all = append(all, one)
	}
	return all
}

// row returns the scenario as a row of the matrix.
func (sc scenario) row() row {
	r := row{
		name: sc.Name, journal: sc.Journal, fault: sc.Fault, promise: sc.Promise,
		env: sc.Settings, analyzers: sc.Analyzers, documented: sc.Documented, short: sc.Short, alone: true,
		do: func(s *system) { newScenarioRunner(s, sc).run() },
	}
	if sc.Cgroup > 0 {
		r.needs = noCgroups
	}
	return r
}
