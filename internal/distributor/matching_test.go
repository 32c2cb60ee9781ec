package distributor

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// targets draws valid analyzers of a few addresses and names, with and without ids.
func drawTargets(t *rapid.T, label string) Targets {
	urls := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"http://10.0.0.1:1", "http://10.0.0.2:1", "http://localhost:3", "http://a:1", "http://a:2", "http://b:1", "http://analyzer-1:1",
	}), 1, 5, rapid.ID).Draw(t, label)
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"analyzer-1", "analyzer-2", "a", "b", "c", "d", "e", "f"}), len(urls), len(urls), rapid.ID).Draw(t, label+" ids")
	var targets Targets
	for i, url := range urls {
		one := Target{URL: url, Weight: float64(1 + rapid.IntRange(0, 1).Draw(t, "weight"))}
		if rapid.Bool().Draw(t, "named") {
			one.ID = ids[i]
		}
		targets = append(targets, one)
	}
	return targets
}

// In any sequence of configurations, ids are unique, explicit ids are kept, an analyzer without one
// keeps its id while it is at its URL, and no id passes to another URL unless the configuration
// gives it.
func TestMatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var current Targets
		for range 6 {
			given := drawTargets(t, "urls")
			next := given.WithIDs(current)
			seen := make(map[string]bool)
			for i, one := range next {
				if seen[one.ID] || one.ID == "" {
					t.Fatalf("%v after %v: the id %q", next, current, one.ID)
				}
				seen[one.ID] = true
				if given[i].ID != "" {
					if one.ID != given[i].ID {
						t.Fatalf("the id %q became %q", given[i].ID, one.ID)
					}
					continue
				}
				for _, before := range current {
					named := slices.ContainsFunc(given, func(g Target) bool { return g.ID == before.ID })
					if before.URL == one.URL && !named && before.ID != one.ID {
						t.Fatalf("%s was %q and became %q", one.URL, before.ID, one.ID)
					}
					if before.ID == one.ID && before.URL != one.URL {
						t.Fatalf("the id %q passed from %s to %s", one.ID, before.URL, one.URL)
					}
				}
			}
			if again := next.WithIDs(next); !slices.Equal(again, next) {
				t.Fatalf("%v became %v without a change", next, again)
			}
			current = next
		}
	})
}

// Only an analyzer that differs leaves and joins; the others keep their connections and queues.
func TestPlanKeepsUnchangedAnalyzers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := DefaultConfig()
		d := bareDistributor(t)
		for range 4 {
			settings.Targets = drawTargets(t, "urls")
			settings = settings.WithDefaultsAfter(Config{Targets: d.targets()})
			before := d.present()
			c, err := d.plan(settings)
			if err != nil {
				t.Fatal(err)
			}
			for i, target := range settings.Targets {
				at := slices.IndexFunc(before, func(a running) bool { return a.target.ID == target.ID && a.target.URL == target.URL })
				if kept := at >= 0 && c.present[i].Upstream == before[at].Upstream; kept != (at >= 0) || c.present[i].target != target {
					t.Fatalf("%v: kept %v", target, kept)
				}
			}
			if len(before)+len(c.joining) != len(c.present)+len(c.leaving) {
				t.Fatal("the numbers do not add up: ", fmt.Sprint(len(before), len(c.joining), len(c.present), len(c.leaving)))
			}
			d.analyzers.Store(&analyzerSet{present: c.present})
		}
	})
}

// bareDistributor has the fields that plan needs, and analyzers that are not started.
func bareDistributor(t *rapid.T) *Distributor {
	metrics, err := upstream.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d := &Distributor{logger: slog.New(slog.DiscardHandler), upstreamMetrics: metrics, leases: discovery.NewLeases()}
	if d.credentials, err = loadCredentials(DefaultConfig(), d.logger, nil); err != nil {
		t.Fatal(err)
	}
	d.analyzers.Store(new(analyzerSet))
	return d
}

func (d *Distributor) targets() (targets Targets) {
	for _, a := range d.present() {
		targets = append(targets, a.target)
	}
	return targets
}

// Packets keep their origins while an analyzer accepts OTLP.
func TestOriginsAreForAnalyzersOfOTLP(t *testing.T) {
	for urls, want := range map[string]bool{
		"": false, "http://a otlp.example": false, "http://a loki+http://b": false, "http://a otlp+http://b": true, "otlp+https://b": true,
	} {
		d := new(Distributor)
		r := new(analyzerSet)
		for url := range strings.FieldsSeq(urls) {
			r.present = append(r.present, running{target: Target{URL: url}})
		}
		d.analyzers.Store(r)
		if d.sendsOTLP() != want {
			t.Errorf("%q: %t", urls, !want)
		}
	}
}
