package dispatch

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// With healthy analyzers every reader sees every analyzer within the bound of
// its share, at every moment and at full speed; also through Prometheus.
func TestSharesHoldAtEveryMoment(t *testing.T) {
	const packets = 30_000
	w := newWorld(t, 0.5, 0.3, 0.2)
	registry := prometheus.NewPedanticRegistry()
	if err := w.Register(registry); err != nil {
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
	for _, a := range w.analyzers {
		a.offers = func([]*packet.Packet) {
			mine := a.take(plenty)
			work <- func() { w.Delivered(a.position, mine) }
		}
	}
	w.Start(t.Context())
	var putting sync.WaitGroup
	putting.Go(func() { w.addMany(t, packets) })
	looks := 0
	for w.Books().Delivered.Packets < packets {
		within(t, w.Books())
		if looks%10 == 0 {
			within(t, scraped(t, registry))
		}
		looks++
	}
	putting.Wait()
	w.Stop()
	close(work)
	settling.Wait()
	within(t, w.Books())
	if looks < 100 {
		t.Logf("only %d looks", looks)
	}
	if left := w.journal.Stats(); left.Acknowledged.Packets != packets || left.MemoryBytes != 0 {
		t.Errorf("the journal's books end at %+v", left)
	}
}

// scraped makes books of what Prometheus sees.
func scraped(t *testing.T, registry *prometheus.Registry) Books {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	books := Books{Analyzers: make([]Account, 3)}
	for _, family := range families {
		for i, m := range family.GetMetric() {
			switch family.GetName() {
			case "distributor_messages_by_analyzer_total":
				books.Analyzers[i].Routed.Messages = int64(m.GetCounter().GetValue())
			case "distributor_share_effective_ratio":
				books.Analyzers[i].Effective = m.GetGauge().GetValue()
			case "distributor_share_deviation_messages":
				books.Analyzers[i].DeviationMessages = m.GetGauge().GetValue()
			case "distributor_share_bound_messages":
				books.BoundMessages = m.GetGauge().GetValue()
			}
		}
	}
	return books
}

func TestMetricsAreClean(t *testing.T) {
	w := newWorld(t, 1, 1)
	registry := prometheus.NewPedanticRegistry()
	if err := w.Register(registry); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// A packet that is routed again counts again, and is held by its new analyzer
// alone.
func TestReroutedPacketsMove(t *testing.T) {
	w := newWorld(t, 1, 1)
	now := time.Now()
	w.tick(now)
	w.add(t, 10)
	w.add(t, 20)
	w.round(now)
	from := w.analyzers[0]
	if from.holds() == 0 {
		from = w.analyzers[1]
	}
	mine := from.take(1)
	moved := packet.VolumeOf(mine)
	w.Returned(from.position, mine)
	if got := w.Books().Waiting; got != moved {
		t.Errorf("waiting: %v, want %v", got, moved)
	}
	w.round(now)
	books := w.Books()
	to := 1 - from.position
	if got := books.Analyzers[from.position]; got.Moved != moved || got.Held().Packets != 0 {
		t.Errorf("the old analyzer's page is %+v", got)
	}
	if got := books.Analyzers[to]; got.Held().Packets != 2 || got.Held().Messages != 30 || got.Moved.Packets != 0 {
		t.Errorf("the new analyzer's page is %+v", got)
	}
	_, reroutes := w.ledger.readAll()
	if len(reroutes) != 1 || reroutes[Reroute{from.id, w.analyzers[to].id}] != 1 {
		t.Errorf("moves: %v", reroutes)
	}
	if books.Waiting.Packets != 0 {
		t.Errorf("waiting: %v", books.Waiting)
	}
}

// Dead letters are safe before the journal forgets their packets.
func TestRefusedPacketsBecomeDeadLetters(t *testing.T) {
	w := newWorld(t, 1)
	now := time.Now()
	w.tick(now)
	w.add(t, 7)
	w.add(t, 2)
	w.round(now)
	calls := 0
	w.letters.safe = func() {
		calls++
		if kept, acknowledged := len(w.letters.kept), w.journal.Stats().Acknowledged.Packets; kept != 2 || acknowledged != 0 {
			t.Errorf("when they are safe %d are kept, and the journal has forgotten %d", kept, acknowledged)
		}
	}
	w.refuseAll()
	if want := []string{"1 a0 malformed why", "2 a0 malformed why"}; !slices.Equal(w.letters.kept, want) || calls != 1 {
		t.Errorf("dead letters: %q, want %q; kept with %d calls", w.letters.kept, want, calls)
	}
	books, stats := w.Books(), w.journal.Stats()
	if books.DeadLettered.Messages != 9 || stats.Claimed.Packets != 0 || stats.Acknowledged.Messages != 9 {
		t.Errorf("the books are %+v, the journal's %+v", books, stats)
	}
}

func TestDrain(t *testing.T) {
	w := newWorld(t, 1)
	for _, test := range []struct {
		packets int64
		want    time.Duration
	}{{0, 0}, {-1, 0}, {1, time.Second}} {
		if got := w.DrainTime(test.packets); got != test.want {
			t.Errorf("nothing leaves, and %d packets take %v, want %v", test.packets, got, test.want)
		}
	}
	settled := int64(0)
	for range 200 {
		settled += 100 // in a tick: 1000 a second
		w.pace.measure(settled, true)
	}
	for _, test := range []struct {
		packets       int64
		least, atMost time.Duration
	}{{0, 0, 0}, {1000, 990 * time.Millisecond, 1010 * time.Millisecond}, {1 << 40, time.Minute, time.Minute}} {
		if got := w.DrainTime(test.packets); got < test.least || got > test.atMost {
			t.Errorf("at 1000 a second %d packets take %v", test.packets, got)
		}
	}
}
