package faults

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// readScenario parses a scenario file strictly.
func readScenario(text []byte) (scenario, error) {
	sc := scenario{Journal: memory, Analyzers: defaultAnalyzers}
	if err := yaml.UnmarshalWithOptions(text, &sc, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		return sc, errors.New(yaml.FormatError(err, false, true))
	}
	if len(sc.Loads) == 0 {
		sc.Loads = []loadSpec{{Name: "matrix", Connections: connections, Rate: rate{number: steadyRate}}}
	}
	for i := range sc.Loads {
		l := &sc.Loads[i]
		l.Emitters = max(l.Emitters, 1)
		l.Connections = max(l.Connections, l.Emitters)
	}
	return sc, sc.validate()
}

func (sc scenario) validate() error {
	switch {
	case sc.Name == "" || sc.Fault == "" || sc.Promise == "":
		return errors.New("a name, a fault and a promise are needed")
	case sc.Journal != memory && sc.Journal != disk:
		return fmt.Errorf("the journal is memory or disk, not %q", sc.Journal)
	case len(sc.Steps) == 0:
		return errors.New("nothing happens: it has no steps")
	}
	for _, l := range sc.Loads {
		if r := l.Rate.of(sc.capacity()); !(r > 0) {
			return fmt.Errorf("the rate of %s is %v: it must be above 0, and needs analyzers with workers if it is relative", l.Name, r)
		}
	}
	return sc.validateSteps(sc.Steps, make(map[string]bool))
}

// validateSteps validates steps; before holds the names of earlier steps, and
// gets theirs.
func (sc scenario) validateSteps(steps []step, before map[string]bool) error {
	for _, st := range steps {
		for _, name := range []string{st.Assert.P99Twice, st.Assert.FewerRefusals} {
			if name != "" && !before[name] {
				return fmt.Errorf("there is no step %q before", name)
			}
		}
		before[st.Name] = true
		for name, change := range st.Analyzers {
			if !sc.hasAnalyzer(name) {
				return fmt.Errorf("there is no analyzer %q", name)
			}
			if change.Only != "" && !sc.hasLoad(change.Only) && !sc.hasBurst(change.Only) {
				return fmt.Errorf("there is no load or burst %q to be treated differently", change.Only)
			}
		}
		for name := range st.Loads {
			if !sc.hasLoad(name) {
				return fmt.Errorf("there is no load %q", name)
			}
		}
		if name := st.Assert.Unaffected; name != "" && !sc.hasLoad(name) {
			return fmt.Errorf("there is no load %q to be unaffected", name)
		}
		if err := sc.validateSteps(st.Steps, before); err != nil {
			return err
		}
	}
	return nil
}

func (sc scenario) hasAnalyzer(name string) bool {
	number, err := strconv.Atoi(strings.TrimPrefix(name, "analyzer-"))
	return name == "all" || name == "it" || err == nil && number >= 1 && number <= len(sc.Analyzers)
}

func (sc scenario) hasLoad(name string) bool {
	for _, l := range sc.Loads {
		if l.Name == name {
			return true
		}
	}
	return name == allLoads
}

func (sc scenario) hasBurst(name string) bool {
	return slices.ContainsFunc(sc.Steps, func(st step) bool { return st.Burst != nil && st.Name == name })
}

// capacity is the sum of the analyzers' capacities in packets per second.
func (sc scenario) capacity() (all float64) {
	for _, a := range sc.Analyzers {
		all += a.capacity()
	}
	return all
}

// scenarioRows reads all scenarios, ordered by file name.
func scenarioRows() (rows []row, err error) {
	files, err := filepath.Glob("scenarios/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sc, err := readScenario(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if sc.Name+".yaml" != filepath.Base(file) {
			return nil, fmt.Errorf("%s: its name is %q", file, sc.Name)
		}
		for _, one := range sc.expandKinds() {
			rows = append(rows, one.row())
		}
	}
	return rows, nil
}

// An invalid scenario is rejected.
func TestScenarioRefused(t *testing.T) {
	const good = "name: n\nfault: f\npromise: p\nsteps: [{for: 1s}]\n"
	if _, err := readScenario([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "name: n\nfault: f\npromise: p\n",
		good + "surprise: 1\n", good + "journal: tape\n",
		good + "assert: {unknown: 1}\n",
		good + "loads: [{name: a, rate: 70%}]\n", good + "loads: [{name: a}]\n", good + "loads: [{name: a, rate: many}]\n",
		strings.Replace(good, "{for: 1s}", "{for: soon}", 1),
		strings.Replace(good, "{for: 1s}", "{analyzers: {analyzer-4: {kill: true}}}", 1),
		strings.Replace(good, "{for: 1s}", "{analyzers: {analyzer-1: {slow: 3}}}", 1),
		strings.Replace(good, "{for: 1s}", "{analyzers: {all: {hang: true, only: other}}}", 1),
		strings.Replace(good, "{for: 1s}", "{loads: {other: {closed-loop: true}}}", 1),
		strings.Replace(good, "{for: 1s}", "{assert: {p99-twice: other}}", 1),
		strings.Replace(good, "{for: 1s}", "{steps: [{assert: {unaffected: other}}]}", 1),
	} {
		if sc, err := readScenario([]byte(bad)); err == nil {
			t.Errorf("%q is understood as %+v", bad, sc)
		}
	}
}

// A relative rate is a part of the analyzers' capacity.
func TestScenarioRate(t *testing.T) {
	sc, err := readScenario([]byte(`
name: n
fault: f
promise: p
analyzers:
  - {weight: 0.6, service: 10ms, workers: 6}
  - {weight: 0.4, service: 5ms, workers: 2}
loads: [{name: a, rate: 70%}, {name: b, rate: 30}]
steps: [{for: 1s}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{700, 30} {
		if got := sc.Loads[i].Rate.of(sc.capacity()); math.Abs(got-want) > 1e-6 {
			t.Errorf("the rate of %s is %v, not %v", sc.Loads[i].Name, got, want)
		}
	}
}
