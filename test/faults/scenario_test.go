package faults

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// scenario is a file of the folder scenarios: what a system is like, what
// happens to it when, and what must hold. What the oracle says must hold for
// each of them, too.
type scenario struct {
	Name, Fault, Promise string
	// Journal is memory or disk.
	Journal string
	// Short scenarios are run with -short, too.
	Short bool
	// Documented scenarios have the documented defaults, not quick ones.
	Documented bool
	Settings   map[string]string
	// Cgroup is how many MiB of memory the distributor may have, if limited.
	Cgroup int
	// Analyzers are the usual ones if none are told.
	Analyzers []plan
	// Loads is the matrix's usual load if none is told.
	Loads []loadPlan
	// Kinds makes a scenario of each kind of trouble. Its name is put behind
	// the scenario's.
	Kinds []kind
	Steps []step
	// Must hold from the first step to the last.
	Must must
}

// loadPlan is a load; see there.
type loadPlan struct {
	Name        string
	Emitters    int // 1 if not told
	Connections int // of all emitters together, as many as emitters if not told
	Rate        rate
	Filler      int
}

// kind is one of several kinds of trouble of one analyzer.
type kind struct {
	Name, Fault string
	Trouble     change
}

// step is something that happens, and for how long. Distributor, analyzers,
// loads and burst say what; then it lasts for a while, and until a condition
// holds; then all of what must be is looked at.
type step struct {
	// Name makes the step's times a part of the result.
	Name        string
	Distributor change
	// Analyzers are named as analyzer-1, all, or it.
	Analyzers map[string]change
	// Loads are named as in the scenario, or everyone.
	Loads map[string]loadChange
	Burst *burst
	For   time.Duration
	// InFull takes the place of For with -judge.
	InFull time.Duration `yaml:"in-full"`
	Until  condition
	// Steps are done in the time of For again and again, if there is one.
	Steps []step
	// Each does the steps with each analyzer in turn, which they call it.
	Each bool
	Must must
}

// change is what becomes of a process.
type change struct {
	Behaviour `yaml:",inline"`
	// Trouble is the kind's.
	Trouble bool
	Kill    bool
	Stop    bool // SIGSTOP
	// Heal brings it back, whatever was done to it.
	Heal bool
	// Idle connections are opened to the distributor, and more that send half
	// of a request.
	Idle, Halves int
}

// loadChange is what becomes of a load.
type loadChange struct {
	Times  float64 // its usual rate
	Hurry  bool
	Filler *int
}

// rate is packets a second, or how many per cent of what all analyzers can take.
type rate struct {
	number   float64
	relative bool
}

// UnmarshalYAML reads 1200 or 70%.
func (r *rate) UnmarshalYAML(text []byte) (err error) {
	number, relative := strings.CutSuffix(strings.Trim(string(bytes.TrimSpace(text)), `"'`), "%")
	r.relative = relative
	r.number, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
	return err
}

// of returns packets a second.
func (r rate) of(capacity float64) float64 {
	if r.relative {
		return r.number / 100 * capacity
	}
	return r.number
}

// ofEachKind returns a scenario for each kind of trouble, or itself.
func (sc scenario) ofEachKind() []scenario {
	if len(sc.Kinds) == 0 {
		return []scenario{sc}
	}
	var all []scenario
	for _, k := range sc.Kinds {
		one := sc
		one.Name, one.Fault = sc.Name+"-"+k.Name, k.Fault+": "+sc.Fault
		one.Kinds = []kind{k}
		all = append(all, one)
	}
	return all
}

// row returns the scenario as a row of the matrix.
func (sc scenario) row() row {
	r := row{
		name: sc.Name, journal: sc.Journal, fault: sc.Fault, promise: sc.Promise,
		env: sc.Settings, analyzers: sc.Analyzers, documented: sc.Documented, short: sc.Short, alone: true,
		do: func(s *system) { newStage(s, sc).play() },
	}
	if sc.Cgroup > 0 {
		r.needs = noCgroups
	}
	return r
}
