package dispatch

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// analyzer is a fake one: it keeps what it is offered until the test takes it.
type analyzer struct {
	id       string
	position int

	mu       sync.Mutex // guards all below
	room     int        // beyond what is bound
	brief    bool
	resting  bool
	weight   float64
	bound    []*packet.Packet
	asked    int // calls of Room
	hastened int // calls of Hasten
	offers   func([]*packet.Packet)
}

func (a *analyzer) ID() string { return a.id }

func (a *analyzer) Room(time.Time) (int, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return a.room, a.brief
}

func (a *analyzer) Resting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resting
}

func (a *analyzer) Weight(time.Time) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.weight
}

func (a *analyzer) Tick() {}

func (a *analyzer) Hasten(time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hastened++
}

func (a *analyzer) Offer(packets []*packet.Packet) {
	a.mu.Lock()
	a.room -= len(packets)
	a.bound = append(a.bound, packets...)
	offers := a.offers
	a.mu.Unlock()
	if offers != nil {
		offers(packets)
	}
}

func (a *analyzer) set(change func(*analyzer)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// take takes away up to n of the packets that are bound, oldest first.
func (a *analyzer) take(n int) []*packet.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	n = min(n, len(a.bound))
	taken := append([]*packet.Packet(nil), a.bound[:n]...)
	a.bound = append(a.bound[:0], a.bound[n:]...)
	return taken
}

func (a *analyzer) holds() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.bound)
}

func (a *analyzer) roomAsked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// letters remembers dead letters.
type letters struct {
	mu     sync.Mutex // guards all below
	kept   []string
	broken func(*packet.Packet) bool // whose letters cannot be written; nil: nobody's
	failed int                       // times that a letter could not be written
	safe   func()                    // is called before Keep returns
}

func (l *letters) Keep(letters []deadletter.Letter) (ended, unwritten []deadletter.Letter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range letters {
		if l.broken != nil && l.broken(d.Packet) {
			l.failed++
			unwritten = append(unwritten, d)
			continue
		}
		l.kept = append(l.kept, fmt.Sprint(string(d.Packet.PacketID.Raw(d.Packet.Body)), " ", d.Analyzer, " ", d.Reason, " ", d.Detail))
		ended = append(ended, d)
	}
	if l.safe != nil {
		l.safe()
	}
	return ended, unwritten
}

// breaks says whose letters cannot be written from now on.
func (l *letters) breaks(whose func(*packet.Packet) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = whose
}

func everybody(*packet.Packet) bool { return true }

// world is a dispatcher between a journal and fake analyzers.
type world struct {
	*Dispatcher
	journal   *memory.Journal
	analyzers []*analyzer
	letters   *letters
	pool      packet.Pool
	put       int
	log       bytes.Buffer
}

const plenty = 1 << 30

// newWorld has one healthy analyzer with plenty of room for each weight.
func newWorld(t testing.TB, weights ...float64) *world {
	t.Helper()
	w := &world{
		journal: memory.New(memory.Config{QueuePackets: 1 << 20, LimitBytes: 1 << 30}),
		letters: &letters{},
	}
	w.Dispatcher = New(Dependencies{Journal: w.journal, DeadLetters: w.letters, Budget: new(retrybudget.Budget), Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	var analyzers []Analyzer
	for i, weight := range weights {
		a := &analyzer{id: fmt.Sprint("a", i), position: i, room: plenty, brief: true, resting: true, weight: weight}
		w.analyzers = append(w.analyzers, a)
		analyzers = append(analyzers, a)
	}
	if err := w.Use(analyzers, weights); err != nil {
		t.Fatal(err)
	}
	return w
}

// add puts a packet of that many messages into the journal.
func (w *world) add(t testing.TB, messages int) {
	w.put++
	body := fmt.Appendf(nil, `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, w.put)
	info, err := packet.Check(body, 10)
	if err != nil {
		t.Fatal(err)
	}
	info.Messages = messages // as if there were so many
	if _, err := w.journal.Put([]*packet.Packet{w.pool.New(body, info)}); err != nil {
		t.Fatal(err)
	}
}

// held returns how many packets all analyzers hold.
func (w *world) held() (packets int) {
	for _, a := range w.analyzers {
		packets += a.holds()
	}
	return packets
}

// tryAllInVain has all analyzers give back, as tried, what they hold. It takes
// from all before it gives back any: what goes elsewhere at once must not be
// tried a second time.
func (w *world) tryAllInVain() {
	var back []*packet.Packet
	for _, a := range w.analyzers {
		back = append(back, a.take(plenty)...)
	}
	for _, p := range back {
		p.Tried = true
		w.Returned(p.Analyzer, []*packet.Packet{p})
	}
}

func (w *world) addMany(t testing.TB, packets int) {
	t.Helper()
	for i := range packets {
		w.add(t, 1+i*37%100)
	}
}

// within fails unless each analyzer's messages are within the bound of its share.
func within(t testing.TB, books Books) {
	t.Helper()
	var total int64
	for _, a := range books.Analyzers {
		total += a.Routed.Messages
	}
	for _, a := range books.Analyzers {
		deviation := a.Effective*float64(total) - float64(a.Routed.Messages)
		const rounding = 1e-3
		if max(deviation, -deviation) > books.BoundMessages+rounding {
			t.Fatalf("%s got %d of %d messages: %v off its share of %v, and the bound is %v",
				a.ID, a.Routed.Messages, total, deviation, a.Effective, books.BoundMessages)
		}
		if off := deviation - a.DeviationMessages; max(off, -off) > rounding {
			t.Fatalf("%s is %v off its share, and the books say %v", a.ID, deviation, a.DeviationMessages)
		}
	}
}
