package distributor

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// Analyzers are added, removed, drained and reweighted under load: all packets
// are delivered, none is refused, and the ledger balances.
func TestAnalyzersComeAndGoUnderLoad(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	end := s.load(8, true)
	for range 10 {
		added := analyzertest.New(t)
		analyzers = append(analyzers, added)
		id, err := s.AddAnalyzer(t.Context(), Target{URL: added.URL(), Weight: 0.4})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the new analyzer gets packets", func() bool { return takenBy(added) > 0 })
		for _, err := range []error{
			s.SetWeight(id, 0.2), s.SetWeight("analyzer-2", 0.5), s.SetDrained("analyzer-3", true), s.RemoveAnalyzer(id), s.SetDrained("analyzer-3", false),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
	until(t, "all is delivered", func() bool {
		status := s.Status()
		return status.Delivered == status.Accepted
	})
	if status := s.Status(); status.Unaccounted != 0 || len(status.Analyzers) != 3 {
		t.Errorf("%d messages are unaccounted, %d analyzers", status.Unaccounted, len(status.Analyzers))
	}
	s.only(t, http.StatusAccepted)
	s.nothingLost(t, analyzers...)
	for name := range s.scrape(t) {
		if strings.Contains(name, "=analyzer-4") {
			t.Errorf("%s is still there", name)
		}
	}
}

// An analyzer without a name gets a unique id, which does not change.
func TestIDsAreFrozen(t *testing.T) {
	one, two, three := analyzertest.New(t), analyzertest.New(t), analyzertest.New(t)
	targets := []Target{{URL: one.URL(), Weight: 1}, {URL: two.URL(), Weight: 1}}
	s := startSystem(t, quick(t, targets...))
	if err := s.RemoveAnalyzer("analyzer-1"); err != nil {
		t.Fatal(err)
	}
	id, err := s.AddAnalyzer(t.Context(), Target{URL: three.URL(), Weight: 1})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range s.Status().Analyzers {
		ids = append(ids, a.ID)
	}
	if !slices.Equal(ids, []string{"analyzer-2", id}) || id == "analyzer-2" {
		t.Errorf("the ids are %v", ids)
	}
}

func TestMemberErrors(t *testing.T) {
	a := analyzertest.New(t)
	s := startSystem(t, quick(t, Target{ID: "a", URL: a.URL(), Weight: 1}))
	_, twice := s.AddAnalyzer(t.Context(), Target{ID: "b", URL: a.URL(), Weight: 1})
	_, taken := s.AddAnalyzer(t.Context(), Target{ID: "a", URL: "http://b:1", Weight: 1})
	_, noURL := s.AddAnalyzer(t.Context(), Target{ID: "b", URL: "b:1", Weight: 1})
	_, noWeight := s.AddAnalyzer(t.Context(), Target{ID: "b", URL: "http://b:1"})
	for _, test := range []struct {
		err  error
		text string
	}{
		{twice, "listed twice"}, {taken, `the same id "a"`}, {noURL, "must look like"}, {noWeight, "the weight must be above 0"},
		{s.RemoveAnalyzer("a"), "the last analyzer"}, {s.RemoveAnalyzer("b"), "no analyzer"}, {s.SetWeight("a", -1), "the weight of a is -1"},
		{s.SetWeight("b", 1), "no analyzer"}, {s.SetDrained("b", true), "no analyzer"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.text) {
			t.Errorf("error %v, want one with %q", test.err, test.text)
		}
	}
	if status := s.Status(); len(status.Analyzers) != 1 || !status.Analyzers[0].Healthy {
		t.Errorf("%+v", status.Analyzers)
	}
	s.stop(t)
	if _, err := s.AddAnalyzer(t.Context(), Target{ID: "b", URL: "http://b:1", Weight: 1}); err == nil || !strings.Contains(err.Error(), "stops") {
		t.Errorf("after a stop: error %v", err)
	}
}
