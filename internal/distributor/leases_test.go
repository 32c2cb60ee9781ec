package distributor

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/discovery"
)

// enlist registers an analyzer.
func (s *system) enlist(t testing.TB, id, group, url string, weight float64) (discovery.LeaseChange, error) {
	t.Helper()
	_, change, err := s.Register(t.Context(), discovery.Lease{ID: id, Group: group, URL: url, Weight: weight, Owner: "test"})
	return change, err
}

func (s *system) mustEnlist(t testing.TB, id, group, url string, weight float64) {
	t.Helper()
	if _, err := s.enlist(t, id, group, url, weight); err != nil {
		t.Fatal(err)
	}
}

// groupWeight returns the sum of the weights of the members of a group.
func (s *system) groupWeight(group string) (sum float64) {
	for _, a := range s.present() {
		if a.group == group {
			sum += a.target.Weight
		}
	}
	return sum
}

func fleetMember(i int) string { return fmt.Sprint("m", i) }

// changeFleet registers members of the group fleet and ends their leases, at random, and checks
// the members and the weight of the group after each change. The first member is registered.
func (s *system) changeFleet(t *testing.T, fleet []*analyzertest.Analyzer) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	in := []int{0}
	for range 60 {
		i := random.IntN(len(fleet))
		at := slices.Index(in, i)
		switch {
		case at < 0:
			s.mustEnlist(t, fleetMember(i), "fleet", fleet[i].URL(), 0.5)
			in = append(in, i)
		case len(in) > 1:
			if leaving, err := s.EndLease(fleetMember(i), time.Time{}); err != nil || !leaving {
				t.Fatal(leaving, err)
			}
			in = slices.Delete(in, at, at+1)
		}
		if weight := s.groupWeight("fleet"); math.Abs(weight-0.5) > 1e-9 || len(s.ofGroup("fleet")) != len(in) {
			t.Fatalf("%d members have the weight %v, want %d with 0.5", len(s.ofGroup("fleet")), weight, len(in))
		}
		until(t, "all are healthy", func() bool { return s.eligible() == len(in)+1 })
	}
}

// Members of a group register and leave at random under load: the group keeps its weight, the
// other analyzer keeps its share, no packet is lost or refused, and each drain has its proof.
func TestRegisteredGroupUnderLoad(t *testing.T) {
	other := analyzertest.New(t)
	var fleet []*analyzertest.Analyzer
	for range 8 {
		fleet = append(fleet, analyzertest.New(t))
	}
	settings := quick(t, Target{ID: "other", URL: other.URL(), Weight: 0.5})
	settings.Analyzer.MaxFailures = 1000
	settings.Analyzer.SlowStart = 0
	s := startAlone(t, settings)
	var mu sync.Mutex
	removals := 0
	s.onRemoved = func(_, _ string, proof DrainProof) {
		mu.Lock()
		defer mu.Unlock()
		removals++
		checkProof(t, proof)
	}
	s.mustEnlist(t, fleetMember(0), "fleet", fleet[0].URL(), 0.5)
	until(t, "all are healthy", func() bool { return s.eligible() == 2 })
	end := s.load(4, true)
	defer end()
	s.changeFleet(t, fleet)
	end()
	until(t, "all is delivered, and all have left", func() bool {
		status := s.Status()
		return status.Delivered == status.Accepted && len(status.Leaving) == 0 && status.Unaccounted == 0
	})
	s.onlyAccepted(t)
	s.stop(t)
	s.nothingLost(t, append(fleet, other)...)
	// The share of the other analyzer is larger while a member is not probed yet.
	if share := s.shareOf("other"); math.Abs(share-0.5) > 0.1 {
		t.Errorf("the share of the other analyzer is %v", share)
	}
	if removals < 10 {
		t.Errorf("%d members have left, want 10 or more", removals)
	}
}

// An analyzer that registers without a group has the share that it asks for. An analyzer whose
// group the configuration lists has a part of that group's weight, and the group's state.
func TestRegisteredWithoutGroup(t *testing.T) {
	analyzers, targets := threeScripted(t)
	settings := quick(t, targets[0], Target{ID: "pool", URL: "lease+http://fleet", Weight: 0.5})
	s := startAlone(t, settings)
	s.mustEnlist(t, "alone", "", analyzers[1].URL(), 0.25)
	s.mustEnlist(t, "m1", "fleet", analyzers[2].URL(), 7)
	until(t, "all are healthy", func() bool { return s.eligible() == 3 })
	var got []string
	for _, one := range s.Status().Analyzers {
		got = append(got, fmt.Sprintf("%s %g %q %v", one.ID, one.Spec.Weight, one.Group, one.Lease != nil))
	}
	if want := []string{`analyzer-1 0.5 "" false`, `m1 0.5 "pool" true`, `alone 0.25 "" true`}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if err := s.reconfigure(t, func(c *Config) { c.Targets[1].State, c.Targets[1].Weight = StateMaint, 0.1 }); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.find("m1"); a.target.State != StateMaint || a.target.Weight != 0.1 {
		t.Errorf("%+v", a.target)
	}
	if _, err := s.enlist(t, "m2", "fleet", strings.Replace(analyzers[1].URL(), "http", "https", 1), 1); err == nil || !strings.Contains(err.Error(), "must be http") {
		t.Errorf("another scheme than the group's: %v", err)
	}
}

// A registered analyzer that is configured afterwards continues without interruption, and can no
// longer register.
func TestRegisteredThenConfigured(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startAlone(t, quick(t, targets[0]))
	s.mustEnlist(t, "a9", "", analyzers[1].URL(), 0.25)
	before, _ := s.find("a9")
	if err := s.reconfigure(t, func(c *Config) {
		c.Targets = append(c.Targets, Target{ID: "a9", URL: analyzers[1].URL(), Weight: 0.75})
	}); err != nil {
		t.Fatal(err)
	}
	after, _ := s.find("a9")
	if after.Upstream != before.Upstream || after.registered || after.target.Weight != 0.75 || len(s.present()) != 2 {
		t.Errorf("%+v", after)
	}
	var conflict *LeaseConflictError
	if _, err := s.enlist(t, "a9", "", analyzers[1].URL(), 0.25); !errors.As(err, &conflict) {
		t.Errorf("%v", err)
	}
	if leaving, err := s.EndLease("a9", time.Time{}); leaving || err != nil || len(s.present()) != 2 {
		t.Errorf("%v, %v", leaving, err)
	}
}

// Two analyzers cannot have one id, or one URL, unless one of them is gone.
func TestLeaseConflicts(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startAlone(t, quick(t, targets[0]))
	s.mustEnlist(t, "x", "", analyzers[1].URL(), 1)
	until(t, "all are healthy", func() bool { return s.eligible() == 2 })
	var conflict *LeaseConflictError
	if _, err := s.enlist(t, "x", "", analyzers[2].URL(), 1); !errors.As(err, &conflict) || conflict.Key != "id" {
		t.Errorf("another URL: %v", err)
	}
	if _, err := s.enlist(t, "y", "", analyzers[1].URL(), 1); !errors.As(err, &conflict) || conflict.Key != "url" {
		t.Errorf("another id: %v", err)
	}
	analyzers[1].Behave(analyzertest.Behaviour{Refuse: true})
	until(t, "one analyzer is unhealthy", func() bool { return s.eligible() == 1 })
	if change, err := s.enlist(t, "x", "", analyzers[2].URL(), 1); change != discovery.Changed || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	for i := range maxLeases {
		s.leases.Put(discovery.Lease{ID: fmt.Sprint("many-", i), URL: fmt.Sprint("http://127.0.0.1:1/", i), Weight: 1, Expires: time.Now().Add(time.Hour)})
	}
	if _, err := s.enlist(t, "z", "", "http://127.0.0.1:1/z", 1); !errors.As(err, &conflict) {
		t.Errorf("a lease above the limit of %d: %v", maxLeases, err)
	}
}

// An analyzer whose lease lapses stays while it is healthy, and leaves when it is unhealthy. The
// last analyzer that gets packets stays.
func TestLapsedLeases(t *testing.T) {
	a, b := analyzertest.New(t), analyzertest.New(t)
	settings := quick(t, Target{URL: "lease+http://fleet", Weight: 1})
	settings.Analyzer.MaxFailures = 2
	s := startAlone(t, settings)
	changes := make(chan string, 10)
	s.onLease = func(change discovery.LeaseChange, lease discovery.Lease) { changes <- lease.ID + " " + string(change) }
	s.mustEnlist(t, "a", "fleet", a.URL(), 1)
	s.mustEnlist(t, "b", "fleet", b.URL(), 1)
	until(t, "all are healthy", func() bool { return s.eligible() == 2 })
	lapse := func(id string, since time.Duration) {
		lease, _ := s.leases.Get(id)
		lease.Expires = time.Now().Add(-since)
		s.leases.Put(lease)
		s.leases.Put(discovery.Lease{ID: "wake", URL: "http://127.0.0.1:1", Weight: 1, Group: "none", Expires: time.Now().Add(time.Hour)})
		s.leases.Remove("wake")
	}
	lapse("a", time.Minute)
	if got := <-changes; got != "a lapsed" || s.eligible() != 2 {
		t.Errorf("%s, %d are eligible", got, s.eligible())
	}
	a.Behave(analyzertest.Behaviour{Refuse: true})
	if got := <-changes; got != "a lost" {
		t.Error(got)
	}
	until(t, "the analyzer has left", func() bool { return len(s.present()) == 1 && len(s.Status().Leaving) == 0 })
	lapse("b", 24*time.Hour)
	if got := <-changes; got != "b lapsed" {
		t.Error(got)
	}
	if status, _, _ := s.send(1); status != http.StatusAccepted {
		t.Errorf("%d", status)
	}
	a.Behave(analyzertest.Behaviour{})
	s.mustEnlist(t, "a", "fleet", a.URL(), 1)
	if got := <-changes; got != "b lost" { // when there is another analyzer
		t.Error(got)
	}
}

// A restart restores leases for their whole time, unless the configuration now lists the analyzer.
func TestRestoredLeases(t *testing.T) {
	analyzers, targets := threeScripted(t)
	d, err := New(quick(t, targets[0]), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.RestoreLeases([]discovery.Lease{
		{ID: "m1", Group: "fleet", URL: analyzers[1].URL(), Weight: 0.1, GroupWeight: 0.4, Owner: "test"},
		{ID: "m2", Group: "fleet", URL: analyzers[2].URL(), Weight: 0.4, GroupWeight: 0.4, Owner: "test"},
		{ID: "m3", Group: "fleet", URL: analyzers[0].URL(), Weight: 0.4, GroupWeight: 0.4, Owner: "test"},
	})
	d.Start(t.Context())
	s := &system{Distributor: d}
	t.Cleanup(func() { _, _ = d.Stop(t.Context()) })
	if s.eligible() != 3 || s.groupWeight("fleet") != 0.4 {
		t.Errorf("%d are eligible, the group has the weight %v", s.eligible(), s.groupWeight("fleet"))
	}
	if change, err := s.enlist(t, "m1", "fleet", analyzers[1].URL(), 0.1); change != "" || err != nil {
		t.Errorf("a renewal is %q, %v", change, err)
	}
}
