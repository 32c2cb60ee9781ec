package router

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// With healthy analyzers each snapshot and each scrape has all members within the
// maximum deviation from their shares, at full speed.
func TestSharesHoldAtEveryMoment(t *testing.T) {
	const packets = 30_000
	h := newHarness(t, 0.5, 0.3, 0.2)
	registry := prometheus.NewPedanticRegistry()
	if err := h.Register(registry); err != nil {
		t.Fatal(err)
	}
	var settling sync.WaitGroup
	work := make(chan func(), 1000)
	for range 4 {
		settling.Go(func() {
			for settle := range work {
				settle()
			}
		})
	}
	for _, a := range h.analyzers {
		a.onOffer = func([]upstream.Delivery) {
			taken := a.take(unlimited)
			work <- func() { h.Delivered(a.id, taken) }
		}
	}
	h.Start(t.Context())
	var adding sync.WaitGroup
	adding.Go(func() { h.addMany(t, packets) })
	snapshots := 0
	for h.Stats().Delivered.Packets < packets {
		checkShares(t, h.Stats())
		if snapshots%10 == 0 {
			checkShares(t, scraped(t, registry))
		}
		snapshots++
	}
	adding.Wait()
	h.Stop()
	close(work)
	settling.Wait()
	checkShares(t, h.Stats())
	if snapshots < 100 {
		t.Logf("only %d snapshots", snapshots)
	}
	if left := h.journal.Stats(); left.Acknowledged.Packets != packets || left.MemoryBytes != 0 {
		t.Errorf("the journal's stats are finally %+v", left)
	}
}

// scraped returns stats from a scrape.
func scraped(t *testing.T, registry *prometheus.Registry) Stats {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	stats := Stats{Members: make([]MemberStats, 3)}
	for _, family := range families {
		for i, m := range family.GetMetric() {
			switch family.GetName() {
			case "distributor_messages_by_analyzer_total":
				stats.Members[i].Routed.Messages = int64(m.GetCounter().GetValue())
			case "distributor_share_effective_ratio":
				stats.Members[i].Effective = m.GetGauge().GetValue()
			case "distributor_share_deviation_messages":
				stats.Members[i].DeviationMessages = m.GetGauge().GetValue()
			case "distributor_share_deviation_limit_messages":
				stats.MaxDeviationMessages = m.GetGauge().GetValue()
			}
		}
	}
	return stats
}

func TestMetricsAreClean(t *testing.T) {
	h := newHarness(t, 1, 1)
	registry := prometheus.NewPedanticRegistry()
	if err := h.Register(registry); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// A rerouted packet counts again as routed, and is held only by its new analyzer.
func TestReroutedPacketsMove(t *testing.T) {
	h := newHarness(t, 1, 1)
	now := time.Now()
	h.Tick(now)
	h.add(t, 10)
	h.add(t, 20)
	h.Round(t.Context(), now)
	from := h.analyzers[0]
	if from.holds() == 0 {
		from = h.analyzers[1]
	}
	taken := from.take(1)
	moved := upstream.VolumeOf(taken)
	h.Nacked(from.id, taken)
	if got := h.Stats().Waiting; got != moved {
		t.Errorf("waiting: %v, want %v", got, moved)
	}
	h.Round(t.Context(), now)
	stats := h.Stats()
	old := slices.Index(h.analyzers, from)
	to := 1 - old
	if got := stats.Members[old]; got.Moved != moved || got.Rerouted != 1 || got.Held().Packets != 0 {
		t.Errorf("the stats of the old analyzer are %+v", got)
	}
	if got := stats.Members[to]; got.Held().Packets != 2 || got.Held().Messages != 30 || got.Moved.Packets != 0 || got.Rerouted != 0 {
		t.Errorf("the stats of the new analyzer are %+v", got)
	}
	if stats.Waiting.Packets != 0 {
		t.Errorf("waiting: %v", stats.Waiting)
	}
}

// Dead letters are stored before their packets are acknowledged.
func TestRejectedPacketsBecomeDeadLetters(t *testing.T) {
	h := newHarness(t, 1)
	now := time.Now()
	h.Tick(now)
	h.add(t, 7)
	h.add(t, 2)
	h.Round(t.Context(), now)
	calls := 0
	h.store.onReturn = func() {
		calls++
		if stored, acknowledged := len(h.store.stored), h.journal.Stats().Acknowledged.Packets; stored != 2 || acknowledged != 0 {
			t.Errorf("when they are stored %d are stored and %d acknowledged", stored, acknowledged)
		}
	}
	h.rejectAll()
	if want := []string{"1 a0 malformed why", "2 a0 malformed why"}; !slices.Equal(h.store.stored, want) || calls != 1 {
		t.Errorf("dead letters: %q, want %q; stored by %d calls", h.store.stored, want, calls)
	}
	routed, journal := h.Stats(), h.journal.Stats()
	if routed.DeadLettered.Messages != 9 || journal.Claimed.Packets != 0 || journal.Acknowledged.Messages != 9 {
		t.Errorf("the stats are %+v, the journal's %+v", routed, journal)
	}
}

func TestDrainTime(t *testing.T) {
	h := newHarness(t, 1)
	for _, test := range []struct {
		packets int64
		want    time.Duration
	}{{0, 0}, {-1, 0}, {1, time.Second}} {
		if got := h.DrainTime(test.packets); got != test.want {
			t.Errorf("with an unknown rate %d packets take %v, want %v", test.packets, got, test.want)
		}
	}
	settled := int64(0)
	for range 200 {
		settled += 100 // per tick: 1000 per second
		h.drainRate.sample(settled, true)
	}
	for _, test := range []struct {
		packets   int64
		low, high time.Duration
	}{{0, 0, 0}, {1000, 990 * time.Millisecond, 1010 * time.Millisecond}, {1 << 40, time.Minute, time.Minute}} {
		if got := h.DrainTime(test.packets); got < test.low || got > test.high {
			t.Errorf("at 1000 per second %d packets take %v", test.packets, got)
		}
	}
}
