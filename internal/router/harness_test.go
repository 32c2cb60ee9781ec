package router

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// analyzer is a fake Analyzer that holds packets until the test takes them.
type analyzer struct {
	id string

	mu                sync.Mutex // guards the fields below
	capacity          int        // besides bound
	transient         bool
	belowLowWatermark bool
	ramp              float64
	bound             []upstream.Delivery
	capacityCalls     int
	probeSoonCalls    int
	outage            upstream.Outage
	until             time.Time
	onOffer           func([]upstream.Delivery)
}

func (a *analyzer) ID() string { return a.id }

func (a *analyzer) Capacity(time.Time) (int, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.capacityCalls++
	return a.capacity, a.transient
}

func (a *analyzer) Outage(time.Time) (upstream.Outage, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outage, a.until
}

func (a *analyzer) BelowLowWatermark() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.belowLowWatermark
}

func (a *analyzer) Ramp(time.Time) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ramp
}

func (a *analyzer) Tick() {}

func (a *analyzer) ProbeSoon(time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probeSoonCalls++
}

func (a *analyzer) Offer(packets []upstream.Delivery) {
	a.mu.Lock()
	a.capacity -= len(packets)
	a.bound = append(a.bound, packets...)
	onOffer := a.onOffer
	a.mu.Unlock()
	if onOffer != nil {
		onOffer(packets)
	}
}

func (a *analyzer) set(change func(*analyzer)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// take removes up to n bound packets, oldest first.
func (a *analyzer) take(n int) []upstream.Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	n = min(n, len(a.bound))
	taken := append([]upstream.Delivery(nil), a.bound[:n]...)
	a.bound = append(a.bound[:0], a.bound[n:]...)
	return taken
}

func (a *analyzer) holds() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.bound)
}

func (a *analyzer) capacityCallCount() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.capacityCalls
}

// store is a fake DeadLetters.
type store struct {
	mu       sync.Mutex // guards the fields below
	stored   []string
	fails    func(*packet.Packet) bool // nil: for none
	failures int
	onReturn func() // is called before Add returns
}

func (s *store) Add(entries []deadletter.Entry) (stored []bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if s.fails != nil && s.fails(e.Packet) {
			s.failures++
			stored = append(stored, false)
			continue
		}
		s.stored = append(s.stored, fmt.Sprint(string(e.Packet.PacketID.Raw(e.Packet.Body)), " ", e.Analyzer, " ", e.Reason, " ", e.Detail))
		stored = append(stored, true)
	}
	if s.onReturn != nil {
		s.onReturn()
	}
	return stored
}

// failFor makes writes fail for some packets, or for none if fails is nil.
func (s *store) failFor(fails func(*packet.Packet) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

func allPackets(*packet.Packet) bool { return true }

// harness is a router between a journal and fake analyzers.
type harness struct {
	*Router
	journal   *memory.Journal
	analyzers []*analyzer
	removed   []*analyzer
	mu        sync.Mutex // guards settings
	settings  Settings
	store     *store
	pool      packet.Pool
	added     int
	log       bytes.Buffer
}

const unlimited = 1 << 30

// newHarness returns a router with a healthy analyzer of unlimited capacity for each
// weight. It records picks.
func newHarness(t testing.TB, weights ...float64) *harness {
	t.Helper()
	h := &harness{
		journal: memory.New(memory.Config{QueuePackets: 1 << 20, LimitBytes: 1 << 30}),
		store:   &store{},
	}
	h.Router = New(Dependencies{Journal: h.journal, DeadLetters: h.store, RetryBudget: new(retrybudget.Budget), Record: true, Logger: slog.New(slog.NewTextHandler(&h.log, nil))})
	for _, weight := range weights {
		h.addAnalyzer(t, weight)
	}
	return h
}

// configure changes the settings, of which the last ones are kept if they are invalid.
func (h *harness) configure(change func(*Settings)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.settings
	next.Members = slices.Clone(next.Members)
	change(&next)
	err := h.Configure(next)
	if err == nil {
		h.settings = next
	}
	return err
}

func (h *harness) Add(a Analyzer, weight float64) error {
	return h.configure(func(s *Settings) { s.Members = append(s.Members, Member{Analyzer: a, Weight: weight}) })
}

func (h *harness) Remove(id string) error {
	return h.configure(func(s *Settings) {
		s.Members = slices.DeleteFunc(s.Members, func(m Member) bool { return m.Analyzer.ID() == id })
	})
}

func (h *harness) changeMember(id string, change func(*Member)) error {
	return h.configure(func(s *Settings) {
		for i := range s.Members {
			if s.Members[i].Analyzer.ID() == id {
				change(&s.Members[i])
			}
		}
	})
}

func (h *harness) SetWeight(id string, weight float64) error {
	return h.changeMember(id, func(m *Member) { m.Weight = weight })
}

func (h *harness) SetOut(id string, out bool) error {
	return h.changeMember(id, func(m *Member) {
		if m.Out = 0; out {
			m.Out = upstream.Drain
		}
	})
}

// addAnalyzer adds a healthy analyzer of unlimited capacity.
func (h *harness) addAnalyzer(t testing.TB, weight float64) *analyzer {
	t.Helper()
	a := &analyzer{id: fmt.Sprint("a", len(h.analyzers)+len(h.removed)), capacity: unlimited, transient: true, belowLowWatermark: true, ramp: 1, outage: upstream.NoRoom}
	h.analyzers = append(h.analyzers, a)
	if err := h.Add(a, weight); err != nil {
		t.Fatal(err)
	}
	return a
}

// removeAnalyzer removes an analyzer, which returns the packets that it holds as
// upstream.Upstream.Stop does.
func (h *harness) removeAnalyzer(t testing.TB, a *analyzer) {
	t.Helper()
	if err := h.Remove(a.id); err != nil {
		t.Fatal(err)
	}
	h.analyzers = slices.DeleteFunc(h.analyzers, func(one *analyzer) bool { return one == a })
	h.removed = append(h.removed, a)
	if back := a.take(unlimited); len(back) > 0 {
		h.Nacked(a.id, back)
	}
}

// add appends a packet with a number of messages to the journal.
func (h *harness) add(t testing.TB, messages int) {
	h.added++
	body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, h.added)
	h.addBody(t, body, messages)
}

// addBody appends a packet with a body and a number of messages.
func (h *harness) addBody(t testing.TB, body string, messages int) {
	info, err := packet.Check([]byte(body), 10)
	if err != nil {
		t.Fatal(err)
	}
	info.Messages = messages // the body has one
	if _, err := h.journal.Append([]*packet.Packet{h.pool.New([]byte(body), info)}); err != nil {
		t.Fatal(err)
	}
}

// held returns the number of packets that all analyzers hold.
func (h *harness) held() (packets int) {
	for _, a := range h.analyzers {
		packets += a.holds()
	}
	return packets
}

// nackAllAttempted nacks all held packets as attempted. It takes the packets of all
// analyzers first, because nacked packets are routed again at once.
func (h *harness) nackAllAttempted() {
	var back []upstream.Delivery
	for _, a := range h.analyzers {
		back = append(back, a.take(unlimited)...)
	}
	for _, d := range back {
		d.Attempted = true
		h.Nacked(d.Analyzer, []upstream.Delivery{d})
	}
}

func (h *harness) addMany(t testing.TB, packets int) {
	t.Helper()
	for i := range packets {
		h.add(t, 1+i*37%100)
	}
}

// checkShares fails unless each member's messages are within the maximum deviation
// from its share.
func checkShares(t testing.TB, stats Stats) {
	t.Helper()
	var total int64
	for _, m := range stats.Members {
		total += m.Routed.Messages
	}
	for _, m := range stats.Members {
		deviation := m.Effective*float64(total) - float64(m.Routed.Messages)
		const rounding = 1e-3
		if max(deviation, -deviation) > stats.MaxDeviationMessages+rounding {
			t.Fatalf("%s got %d of %d messages: a deviation of %v from its share of %v, and the maximum is %v",
				m.ID, m.Routed.Messages, total, deviation, m.Effective, stats.MaxDeviationMessages)
		}
		if diff := deviation - m.DeviationMessages; max(diff, -diff) > rounding {
			t.Fatalf("%s has a deviation of %v, and Stats reports %v", m.ID, deviation, m.DeviationMessages)
		}
	}
}
