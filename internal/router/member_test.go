package router

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// memberHistory is a random history in which members change.
type memberHistory struct {
	*randomHistory
	drained map[string]bool
}

// routeRound routes a round, in which no drained member is offered packets.
func (h *memberHistory) routeRound(r *rapid.T) {
	before := make(map[*analyzer]int)
	for _, a := range h.analyzers {
		before[a] = a.holds()
	}
	h.Round(h.t.Context(), h.now)
	for _, a := range h.analyzers {
		if h.drained[a.id] && a.holds() != before[a] {
			r.Fatalf("%s is drained and was offered packets", a.id)
		}
	}
}

func (h *memberHistory) changeCapacity(r *rapid.T) {
	a := h.anyAnalyzer(r)
	a.capacity = rapid.SampledFrom([]int{0, 1, 5, unlimited}).Draw(r, "capacity")
	a.transient = rapid.Bool().Draw(r, "transient")
}

func (h *memberHistory) addMember(r *rapid.T) {
	if len(h.analyzers) < 6 {
		h.addAnalyzer(h.t, anyWeight(r))
	}
}

func (h *memberHistory) removeMember(r *rapid.T) {
	if len(h.analyzers) > 1 {
		h.removeAnalyzer(h.t, h.anyAnalyzer(r))
	}
}

func (h *memberHistory) changeWeight(r *rapid.T) {
	if err := h.SetWeight(h.anyAnalyzer(r).id, anyWeight(r)); err != nil {
		r.Fatal(err)
	}
}

func (h *memberHistory) changeDrain(r *rapid.T) {
	a := h.anyAnalyzer(r)
	h.drained[a.id] = rapid.Bool().Draw(r, "drained")
	if err := h.SetOut(a.id, h.drained[a.id]); err != nil {
		r.Fatal(err)
	}
}

func anyWeight(r *rapid.T) float64 { return rapid.Float64Range(0.05, 1).Draw(r, "weight") }

// Analyzers that come, go, are drained and change their weights in random histories
// lose no packet, and get none after they left.
func TestMembersComeAndGo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		h := &memberHistory{newRandomHistory(t, 0.5, 0.5), make(map[string]bool)}
		r.Repeat(map[string]func(*rapid.T){
			"append":    h.append,
			"round":     h.routeRound,
			"tick":      func(*rapid.T) { h.Tick(h.now) },
			"capacity":  h.changeCapacity,
			"delivered": h.deliver,
			"nacked":    h.nack,
			"add":       h.addMember,
			"remove":    h.removeMember,
			"weight":    h.changeWeight,
			"drain":     h.changeDrain,
			"": func(r *rapid.T) {
				check(r, h.harness, h.settled)
				checkMembers(r, h.harness)
			},
		})
	})
}

// checkMembers checks that the stats list the present members, and that nobody else
// holds packets.
func checkMembers(r *rapid.T, h *harness) {
	var want []string
	for _, a := range h.analyzers {
		want = append(want, a.id)
	}
	var got []string
	target := 0.0
	for _, m := range h.Stats().Members {
		got = append(got, m.ID)
		target += m.Target
	}
	if !slices.Equal(got, want) || target < 0.999 || target > 1.001 {
		r.Fatalf("the members are %v with targets that sum to %v, want %v and 1", got, target, want)
	}
	for _, a := range h.removed {
		if a.holds() > 0 {
			r.Fatalf("%s was removed and holds %d packets", a.id, a.holds())
		}
	}
}

// Members change while packets are routed, from many goroutines.
func TestMembersChangeUnderLoad(t *testing.T) {
	const packets = 20_000
	h := newHarness(t, 0.5, 0.3, 0.2)
	deliver := func(a *analyzer) {
		a.onOffer = func([]upstream.Delivery) { h.Delivered(a.id, a.take(unlimited)) }
	}
	for _, a := range h.analyzers {
		deliver(a)
	}
	h.Start(t.Context())
	var changing sync.WaitGroup
	for _, a := range h.analyzers[1:] {
		changing.Go(func() {
			for range 200 {
				for _, err := range []error{
					h.SetWeight(a.id, 0.4), h.SetOut(a.id, true), h.SetOut(a.id, false), h.Remove(a.id), h.Add(a, 0.3),
				} {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	h.addMany(t, packets)
	changing.Wait()
	for h.Stats().Delivered.Packets < packets {
		runtime.Gosched()
	}
	h.Stop()
	if left := h.journal.Stats(); left.Acknowledged.Packets != packets {
		t.Errorf("the journal's stats are finally %+v", left)
	}
}

// The shares of the others keep their proportions when a weight changes.
func TestWeightAndDrainChangeShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := started(t, 1, 1, 2)
		want := func(shares ...float64) {
			t.Helper()
			synctest.Wait()
			time.Sleep(2 * upstream.TickInterval)
			for i, m := range h.Stats().Members {
				if d := m.Effective - shares[i]; d < -1e-6 || d > 1e-6 {
					t.Errorf("%s has a share of %v, want %v", m.ID, m.Effective, shares[i])
				}
			}
		}
		want(0.25, 0.25, 0.5)
		if err := h.SetWeight("a2", 6); err != nil {
			t.Fatal(err)
		}
		want(0.125, 0.125, 0.75)
		if err := h.SetOut("a2", true); err != nil {
			t.Fatal(err)
		}
		want(0.5, 0.5, 0)
		if err := h.Remove("a0"); err != nil {
			t.Fatal(err)
		}
		want(1, 0)
	})
}

// Invalid settings change nothing.
func TestMemberErrors(t *testing.T) {
	h := newHarness(t, 1)
	for _, test := range []struct {
		err  error
		text string
	}{
		{h.Add(&analyzer{id: "a0", ramp: 1}, 1), `two analyzers have the id "a0"`},
		{h.Add(&analyzer{id: "a1", ramp: 1}, -1), "the weight of a1 is -1"},
		{h.SetWeight("a0", 0), "the weight of a0 is 0"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.text) {
			t.Errorf("error %v, want one with %q", test.err, test.text)
		}
	}
	if members := h.Stats().Members; len(members) != 1 || members[0].Target != 1 {
		t.Errorf("the members are %+v", members)
	}
}

// Removed members leave nothing behind that limits how many may come.
func TestManyMembersInSequence(t *testing.T) {
	h := newHarness(t, 1)
	for range 2 * fairshare.MaxMembers {
		h.removeAnalyzer(t, h.addAnalyzer(t, 1))
	}
}

// A packet that was bound before its member last joined is not refunded: the member's
// deficit began at 0 then.
func TestNoRefundOfAnEarlierMembership(t *testing.T) {
	h := newHarness(t, 1, 1)
	now := time.Now()
	h.Tick(now)
	h.add(t, 50)
	h.Round(t.Context(), now)
	a := h.analyzers[0]
	back := a.take(unlimited)
	for _, drained := range []bool{true, false} {
		if err := h.SetOut(a.id, drained); err != nil {
			t.Fatal(err)
		}
	}
	h.Nacked(a.id, back)
	h.Round(t.Context(), now)
	if got := h.Stats().Members; got[0].DeviationMessages != 25 || got[1].DeviationMessages != -25 {
		t.Errorf("the deviations are %v and %v, want 25 and -25 after one packet of 50 messages", got[0].DeviationMessages, got[1].DeviationMessages)
	}
}

// Close returns all packets that are not bound to the journal.
func TestCloseReturnsPackets(t *testing.T) {
	h := newHarness(t, 1)
	now := time.Now()
	h.Tick(now)
	h.addMany(t, 6)
	h.Round(t.Context(), now)
	held := h.analyzers[0].take(unlimited)
	fail(&held[0], now, false)
	held[1].Attempted = true
	h.Nacked("a0", held[:3])
	h.analyzers[0].setFull(false)
	h.reject(h.analyzers[0], held[3:4])
	h.Stop()
	h.Close()
	stats := h.journal.Stats()
	if stats.Queued.Packets != 3 || stats.Claimed.Packets != 2 || h.Stats().Waiting.Packets != 0 {
		t.Errorf("%d packets are queued and %d claimed, want 3 and the 2 that are bound; waiting: %v", stats.Queued.Packets, stats.Claimed.Packets, h.Stats().Waiting)
	}
}
