package distributor

import (
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/native"
)

// Rates are messages per second, and for refusals packets per second.
type Rates struct {
	In      float64 // accepted
	Out     float64 // delivered, or dead letters
	Refused float64 // packets
}

// rateSamples is the number of samples in a second, plus one.
const rateSamples = int(time.Second/stateInterval) + 1

// rates measures the messages per second. sample is called every stateInterval; last may be
// read concurrently.
type rates struct {
	last    atomic.Pointer[Rates]
	samples [rateSamples]rateSample
	next    int // the oldest sample
}

type rateSample struct {
	at      time.Time
	in, out int64 // messages in total
	refused int64 // packets in total
}

func (r *rates) sample(d *Distributor, now time.Time) {
	routed := d.router.Stats()
	latest := rateSample{now, d.journal.Stats().Accepted.Messages, routed.Delivered.Messages + routed.DeadLettered.Messages, 0}
	for _, reason := range native.Reasons() {
		latest.refused += d.intake.Refused(reason)
	}
	oldest := r.samples[r.next]
	r.samples[r.next] = latest
	r.next = (r.next + 1) % rateSamples
	if seconds := now.Sub(oldest.at).Seconds(); !oldest.at.IsZero() && seconds > 0 {
		r.last.Store(&Rates{
			In: float64(latest.in-oldest.in) / seconds, Out: float64(latest.out-oldest.out) / seconds, Refused: float64(latest.refused-oldest.refused) / seconds,
		})
	}
}
