package discovery

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const ttl = 30 * time.Second

// watchedLeases are Leases in a bubble, whose Run is under way.
type watchedLeases struct {
	*Leases
	mu      sync.Mutex
	healthy map[string]bool
	changes []string // with the seconds since the start
}

// watchLeases runs leases until the end of a test. Healthy analyzers stay for ten times ttl.
func watchLeases(t *testing.T) *watchedLeases {
	w := &watchedLeases{Leases: NewLeases(), healthy: make(map[string]bool)}
	start := time.Now()
	keep := func(one Lease) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.healthy[one.ID] && time.Since(one.Expires) < 10*ttl
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, time.Second, keep, func(change LeaseChange, one Lease) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, fmt.Sprintf("%s %s %v", one.ID, change, time.Since(start)))
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

func (w *watchedLeases) setHealthy(id string, healthy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.healthy[id] = healthy
}

func (w *watchedLeases) renew(lease Lease) LeaseChange {
	lease.Expires = time.Now().Add(ttl)
	return w.Put(lease)
}

// wantChanges wants these changes since the last call, once all goroutines wait.
func (w *watchedLeases) wantChanges(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.changes, want) {
		t.Errorf("changes %q, want %q", w.changes, want)
	}
	w.changes = nil
}

// A lease that is renewed does not lapse. One that is not lapses: an unhealthy analyzer leaves
// at once, a healthy one when it becomes unhealthy or after the grace.
func TestLeaseExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLeases(t)
		a, b, c := Lease{ID: "a", Weight: 1}, Lease{ID: "b", Weight: 1}, Lease{ID: "c", Weight: 1}
		w.setHealthy("b", true)
		w.setHealthy("c", true)
		for _, one := range []Lease{a, b, c} {
			if change := w.renew(one); change != Granted {
				t.Errorf("%s: %q", one.ID, change)
			}
		}
		for range 10 {
			time.Sleep(ttl / 3)
			for _, one := range []Lease{a, b, c} {
				if change := w.renew(one); change != "" {
					t.Errorf("%s: %q", one.ID, change)
				}
			}
		}
		w.wantChanges(t)
		time.Sleep(ttl - time.Nanosecond)
		w.wantChanges(t)
		time.Sleep(time.Nanosecond)
		w.wantChanges(t, "a lapsed 2m10s", "a lost 2m10s", "b lapsed 2m10s", "c lapsed 2m10s")
		time.Sleep(20 * time.Second)
		if change := w.renew(c); change != Recovered {
			t.Errorf("c: %q", change)
		}
		w.setHealthy("c", false) // its lease holds
		w.wantChanges(t)
		time.Sleep(ttl)
		w.wantChanges(t, "c lapsed 3m0s", "c lost 3m0s")
		time.Sleep(4*time.Minute + 9*time.Second)
		w.wantChanges(t)
		time.Sleep(time.Second)
		w.wantChanges(t, "b lost 7m10s")
		if left := w.All(); len(left) > 0 {
			t.Errorf("%+v", left)
		}
	})
}

// A lapsed lease ends as soon as its analyzer is not healthy any more.
func TestLapsedLeaseOfUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchLeases(t)
		w.setHealthy("a", true)
		w.renew(Lease{ID: "a", Weight: 1})
		time.Sleep(ttl + 500*time.Millisecond)
		w.setHealthy("a", false)
		w.wantChanges(t, "a lapsed 30s")
		time.Sleep(500 * time.Millisecond)
		w.wantChanges(t, "a lost 31s")
	})
}

// The weight of a group is that of the last lease that was granted or changed; renewals and
// those that leave do not change it.
func TestWeightOfLeasedGroup(t *testing.T) {
	l := NewLeases()
	weight := func(want float64) {
		t.Helper()
		sum := 0.0
		for _, m := range l.Members("g") {
			sum += m.Part
		}
		if all := l.All(); all[0].GroupWeight != want || math.Abs(sum-1) > 1e-9 {
			t.Errorf("weight %v, want %v; parts sum to %v", all[0].GroupWeight, want, sum)
		}
	}
	a, b := Lease{ID: "a", Group: "g", Weight: 0.2}, Lease{ID: "b", Group: "g", Weight: 0.5}
	l.Put(a)
	weight(0.2)
	l.Put(b)
	weight(0.5)
	l.Put(a)
	weight(0.5)
	l.Remove("b")
	weight(0.5)
	a.Weight = 0.3
	if change := l.Put(a); change != Changed {
		t.Errorf("%q", change)
	}
	weight(0.3)
	l.Remove("a")
	l.Put(Lease{ID: "b", Group: "g", Weight: 0.7})
	weight(0.7)
	restored := NewLeases()
	restored.Restore(Lease{ID: "x", Group: "g", Weight: 0.1, GroupWeight: 0.9})
	if all := restored.All(); all[0].GroupWeight != 0.9 || all[0].Weight != 0.1 {
		t.Errorf("%+v", all)
	}
}

func TestLeasedGroups(t *testing.T) {
	g, err := Parse("lease+otlp+http://Fleet?gzip=true")
	if err != nil || g != (Group{Leased, "fleet"}) {
		t.Errorf("%+v, %v", g, err)
	}
	m := Member{ID: "a", Base: "otlp+http://10.0.0.1:4318/v1"}
	if got := m.URL("lease+otlp+http://fleet?gzip=true"); got != "otlp+http://10.0.0.1:4318/v1?gzip=true" {
		t.Error(got)
	}
	if got := m.URL("lease+otlp+http://fleet"); got != m.Base {
		t.Error(got)
	}
	for _, text := range []string{"lease+http://fleet:9001", "lease+http://fleet/path", "lease+http://"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is a group", text)
		}
	}
}
