package distributor

import (
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// reconfigure changes the current configuration.
func (s *system) reconfigure(t testing.TB, change func(*Config)) error {
	t.Helper()
	next := s.Config()
	next.Targets = slices.Clone(next.Targets)
	change(&next)
	return s.Reconfigure(t.Context(), next)
}

// change changes one analyzer of a configuration.
func (c *Config) change(id string, change func(*Target)) {
	for i := range c.Targets {
		if c.Targets[i].ID == id {
			change(&c.Targets[i])
		}
	}
}

func (c *Config) remove(id string) {
	c.Targets = slices.DeleteFunc(c.Targets, func(t Target) bool { return t.ID == id })
}

// Analyzers are added, removed, drained and reweighted under load: all packets are delivered, none
// is refused, and the ledger balances.
func TestAnalyzersComeAndGoUnderLoad(t *testing.T) {
	analyzers, targets := threeScripted(t)
	settings := quick(t, targets...)
	s := startSystem(t, settings)
	end := s.load(8, true)
	for range 10 {
		added := analyzertest.New(t)
		analyzers = append(analyzers, added)
		step := func(change func(*Config)) {
			if err := s.reconfigure(t, change); err != nil {
				t.Fatal(err)
			}
		}
		step(func(c *Config) { c.Targets = append(c.Targets, Target{ID: "added", URL: added.URL(), Weight: 0.4}) })
		until(t, "the new analyzer gets packets", func() bool { return takenBy(added) > 0 })
		step(func(c *Config) {
			c.change("added", func(t *Target) { t.Weight = 0.2 })
			c.change("analyzer-2", func(t *Target) { t.Weight = 0.5 })
			c.change("analyzer-3", func(t *Target) { t.State = StateDrain })
		})
		step(func(c *Config) {
			c.remove("added")
			c.change("analyzer-3", func(t *Target) { t.State = StateReady })
		})
	}
	end()
	until(t, "all is delivered, and all have left", func() bool {
		status := s.Status()
		return status.Delivered == status.Accepted && len(status.Leaving) == 0
	})
	if status := s.Status(); status.Unaccounted != 0 || len(status.Analyzers) != 3 || len(status.Former) != 1 {
		t.Errorf("%d messages are unaccounted, %d analyzers, former: %v", status.Unaccounted, len(status.Analyzers), status.Former)
	}
	s.onlyAccepted(t)
	s.nothingLost(t, analyzers...)
	seen := s.scrape(t)
	delivered := 0
	for _, a := range analyzers[3:] {
		delivered += takenBy(a)
	}
	if got := seen["distributor_delivered_packets_total{analyzer=added}"]; int(got) < delivered {
		t.Errorf("the counter of the analyzers that left says %v, they took %d", got, delivered)
	}
	if _, ok := seen["distributor_queue_depth{analyzer=added}"]; ok {
		t.Error("an analyzer that left has a queue")
	}
}

// An analyzer without a name gets a unique id, which does not change.
func TestDefaultIDsAreUniqueAndStable(t *testing.T) {
	one, two, three := analyzertest.New(t), analyzertest.New(t), analyzertest.New(t)
	s := startSystem(t, quick(t, Target{URL: one.URL(), Weight: 1}, Target{URL: two.URL(), Weight: 1}))
	next := s.Config()
	next.Targets = Targets{{URL: two.URL(), Weight: 1}, {URL: three.URL(), Weight: 1}}
	if err := s.Reconfigure(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range s.Status().Analyzers {
		ids = append(ids, a.ID)
	}
	if len(ids) != 2 || ids[0] != "analyzer-2" || ids[1] == "analyzer-1" || ids[1] == "analyzer-2" {
		t.Errorf("the ids are %v", ids)
	}
}

// A configuration with invalid analyzers changes nothing.
func TestMemberErrors(t *testing.T) {
	a := analyzertest.New(t)
	s := startSystem(t, quick(t, Target{ID: "a", URL: a.URL(), Weight: 1}))
	for _, test := range []struct {
		added Target
		text  string
	}{
		{Target{ID: "b", URL: a.URL(), Weight: 1}, "listed twice"},
		{Target{ID: "a", URL: "http://b:1", Weight: 1}, `the same id "a"`},
		{Target{ID: "b", URL: "b:1", Weight: 1}, "must look like"},
		{Target{ID: "b", URL: "http://b:1"}, "the weight must be above 0"},
		{Target{ID: "b", URL: "http://b:1", Weight: 1, State: "off"}, `has the state "off"`},
	} {
		err := s.reconfigure(t, func(c *Config) { c.Targets = append(c.Targets, test.added) })
		if err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("error %v, want one with %q", err, test.text)
		}
	}
	if err := s.reconfigure(t, func(c *Config) { c.Targets = nil }); err == nil || !strings.Contains(err.Error(), "ANALYZERS is required") {
		t.Errorf("without analyzers: %v", err)
	}
	if status := s.Status(); len(status.Analyzers) != 1 || !status.Analyzers[0].Healthy {
		t.Errorf("%+v", status.Analyzers)
	}
	s.stop(t)
	if err := s.reconfigure(t, func(*Config) {}); err == nil || !strings.Contains(err.Error(), "stops") {
		t.Errorf("after a stop: error %v", err)
	}
}
