package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/retrybudget"
)

// BenchmarkRound is what packets cost from the journal to the analyzers and
// back: claim, pick, bind, offer, settle. It is a ladder of analyzers, with
// rounds of one packet, as there are when little comes, and whole ones.
func BenchmarkRound(b *testing.B) {
	for _, analyzers := range []int{3, 30, 300} {
		for _, packets := range []int{1, 16, roundPackets} {
			b.Run(fmt.Sprintf("analyzers=%d/packets=%d", analyzers, packets), func(b *testing.B) {
				d := newRounds(b, analyzers, packets)
				now := time.Now()
				b.ReportAllocs()
				for b.Loop() {
					if !d.round(now) {
						b.Fatal("nothing was routed")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
			})
		}
	}
}

// newRounds returns a dispatcher with that many prompt analyzers, each round of
// which finds that many packets of 1 to 100 messages.
func newRounds(t testing.TB, analyzers, packets int) *Dispatcher {
	t.Helper()
	carousel := new(carousel)
	var pool packet.Pool
	for i := range packets {
		carousel.waiting = append(carousel.waiting, pool.New(make([]byte, 800), packet.Info{Messages: 1 + i*37%100}))
	}
	d := New(Dependencies{Journal: carousel, DeadLetters: new(letters), Budget: new(retrybudget.Budget)})
	var candidates []Analyzer
	var weights []float64
	for i := range analyzers {
		candidates = append(candidates, &prompt{dispatcher: d, position: i})
		weights = append(weights, float64(1+i%3))
	}
	if err := d.Use(candidates, weights); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // until everybody's part of a round was as large as it gets
		d.round(time.Time{})
	}
	return d
}

// carousel is a journal in which acknowledged packets wait anew.
type carousel struct{ waiting []*packet.Packet }

func (c *carousel) Claim(dst []*packet.Packet, limit int) []*packet.Packet {
	n := min(limit, len(c.waiting))
	dst = append(dst, c.waiting[:n]...)
	c.waiting = c.waiting[:copy(c.waiting, c.waiting[n:])]
	return dst
}

func (c *carousel) Arrived() <-chan struct{} { return nil }

func (c *carousel) Ack(packets []*packet.Packet) {
	for _, p := range packets {
		p.Analyzer = packet.NoAnalyzer
	}
	c.waiting = append(c.waiting, packets...)
}

// prompt is an analyzer that takes what it is offered at once.
type prompt struct {
	dispatcher *Dispatcher
	position   int
}

func (p *prompt) ID() string                     { return fmt.Sprint("a", p.position) }
func (p *prompt) Room(time.Time) (int, bool)     { return plenty, true }
func (p *prompt) Resting() bool                  { return true }
func (p *prompt) Weight(time.Time) float64       { return float64(1 + p.position%3) }
func (p *prompt) Tick()                          {}
func (p *prompt) Hasten(time.Time)               {}
func (p *prompt) Offer(packets []*packet.Packet) { p.dispatcher.Delivered(p.position, packets) }
