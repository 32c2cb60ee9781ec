package distributor

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// Backlog is the volume of accepted packets that are not delivered.
type Backlog struct {
	Total packet.Volume
	// OldestAge is approximately the age of the oldest packet; packets of requests in flight count
	// with a disk journal only.
	OldestAge time.Duration
	// DrainTime is the estimated time until all packets are delivered, if no more are accepted;
	// negative if unknown.
	DrainTime time.Duration
	// Journal is the volume that is queued in the journal, Router the volume that is fetched and
	// not bound to an analyzer.
	Journal, Router packet.Volume
	Analyzers       []AnalyzerBacklog
	// Emitters are the emitters with most messages, estimated from Sampled packets.
	// Requests in flight are not sampled.
	Emitters []backlog.Emitter
	Sampled  int64
}

// AnalyzerBacklog is the volume that is bound to an analyzer and not delivered.
type AnalyzerBacklog struct {
	ID               string
	Queued, InFlight packet.Volume
}

// maxDrainSeconds is a year.
const maxDrainSeconds = 365 * 24 * 3600

// Backlog returns the backlog with up to top emitters. A call costs about a millisecond, and if
// packets are on disk only, the reading of up to 32 MiB. It may be called concurrently.
func (d *Distributor) Backlog(top int) Backlog {
	stats, routed, now := d.journal.Stats(), d.router.Stats(), time.Now()
	b := Backlog{Journal: stats.Queued, Router: routed.Waiting, DrainTime: -1}
	b.Total = stats.Queued.Plus(routed.Waiting)
	var emitters backlog.Emitters
	d.journal.Sample(backlog.SamplePackets, emitters.Add)
	d.router.Sample(backlog.SamplePackets, emitters.Add)
	analyzers := d.analyzers.Load().all()
	for _, a := range analyzers {
		queued, inFlight := a.Volumes()
		b.Analyzers = append(b.Analyzers, AnalyzerBacklog{a.ID(), queued, inFlight})
		b.Total = b.Total.Plus(queued).Plus(inFlight)
		a.Sample(max(1, backlog.SamplePackets/len(analyzers)), emitters.Add)
	}
	if oldest := d.oldest(); !oldest.IsZero() {
		b.OldestAge = max(0, now.Sub(oldest))
	}
	if rate := d.router.DrainRate(); b.Total.Packets == 0 {
		b.DrainTime = 0
	} else if rate > 0 {
		b.DrainTime = time.Duration(min(float64(b.Total.Packets)/rate, maxDrainSeconds) * float64(time.Second))
	}
	b.Emitters, b.Sampled = emitters.Top(top), emitters.Sampled()
	return b
}

// oldest returns approximately when the oldest undelivered packet was accepted, or the zero time.
func (d *Distributor) oldest() time.Time {
	oldest := d.journal.Oldest()
	consider := func(t time.Time) {
		if !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	consider(d.router.Oldest())
	for _, a := range d.analyzers.Load().all() {
		consider(a.Oldest())
	}
	return oldest
}
