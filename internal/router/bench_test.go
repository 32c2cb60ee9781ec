package router

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// BenchmarkRound measures a packet's path from the journal to the analyzers and
// back: claim, pick, bind, offer, settle, by analyzers and packets per round.
func BenchmarkRound(b *testing.B) {
	for _, analyzers := range []int{3, 30, 300, 1000} {
		for _, packets := range []int{1, 16, maxRoundPackets} {
			b.Run(fmt.Sprintf("analyzers=%d/packets=%d", analyzers, packets), benchmarkRound(analyzers, packets, false))
		}
	}
}

// BenchmarkRecordedRound is BenchmarkRound with the recorder on.
func BenchmarkRecordedRound(b *testing.B) {
	for _, analyzers := range []int{3, 30, 300, 1000} {
		for _, packets := range []int{1, 16, maxRoundPackets} {
			b.Run(fmt.Sprintf("analyzers=%d/packets=%d", analyzers, packets), benchmarkRound(analyzers, packets, true))
		}
	}
}

func benchmarkRound(analyzers, packets int, record bool) func(*testing.B) {
	return func(b *testing.B) {
		r := newRoundRouter(b, analyzers, packets, record)
		now := time.Now()
		b.ReportAllocs()
		for b.Loop() {
			if !r.Round(b.Context(), now) {
				b.Fatal("nothing was routed")
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	}
}

// newRoundRouter returns a router with instant analyzers, each round of which claims
// the given number of packets of 1 to 100 messages.
func newRoundRouter(t testing.TB, analyzers, packets int, record bool) *Router {
	t.Helper()
	journal := new(loopJournal)
	var pool packet.Pool
	for i := range packets {
		body := fmt.Appendf(nil, `{"emitter_id":"emitter-%d","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"%0700d"}]}`, i%10, i, i)
		info, err := packet.Check(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		info.Messages = 1 + i*37%100
		journal.waiting = append(journal.waiting, pool.New(body, info))
	}
	r := New(Dependencies{Journal: journal, DeadLetters: new(store), RetryBudget: new(retrybudget.Budget), Record: record})
	var settings Settings
	for i := range analyzers {
		settings.Members = append(settings.Members, Member{Analyzer: &instant{router: r, id: fmt.Sprint("a", i)}, Weight: float64(1 + i%3)})
	}
	if err := r.Configure(settings); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // until all buffers have their final size
		r.Round(t.Context(), time.Time{})
	}
	return r
}

// loopJournal is a journal in which acknowledged packets wait again.
type loopJournal struct{ waiting []*packet.Packet }

func (c *loopJournal) Fetch(_ context.Context, dst []*packet.Packet, limit int) ([]*packet.Packet, error) {
	n := min(limit, len(c.waiting))
	dst = append(dst, c.waiting[:n]...)
	c.waiting = c.waiting[:copy(c.waiting, c.waiting[n:])]
	return dst, nil
}

func (c *loopJournal) Ready() <-chan struct{}       { return nil }
func (c *loopJournal) Ack(packets []*packet.Packet) { c.waiting = append(c.waiting, packets...) }
func (c *loopJournal) Nak(packets []*packet.Packet) { c.waiting = append(c.waiting, packets...) }

// instant is an analyzer that delivers offered packets at once.
type instant struct {
	router *Router
	id     string
}

func (p *instant) ID() string                     { return p.id }
func (p *instant) Capacity(time.Time) (int, bool) { return unlimited, true }
func (p *instant) BelowLowWatermark() bool        { return true }
func (p *instant) Outage(time.Time) (upstream.Outage, time.Time) {
	return upstream.NoRoom, time.Time{}
}
func (p *instant) Ramp(time.Time) float64               { return 1 }
func (p *instant) Tick()                                {}
func (p *instant) ProbeSoon(time.Time)                  {}
func (p *instant) Offer(deliveries []upstream.Delivery) { p.router.Delivered(p.id, deliveries) }
