package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	paceInterval = time.Second
	// paceMinutes is for how many minutes the highest pace is remembered.
	paceMinutes = 10
)

// pace measures how many messages a second are delivered. record, now and highest may be
// called concurrently, sample by one goroutine.
type pace struct {
	messages      atomic.Int64  // since the last interval
	current, best atomic.Uint64 // math.Float64bits, per second

	began   time.Time            // of the interval
	turned  time.Time            // when minutes[at] began
	minutes [paceMinutes]float64 // the highest pace of each
	at      int
}

func (p *pace) record(messages int64) { p.messages.Add(messages) }

// sample ends the interval if it is over. It is called every TickInterval.
func (p *pace) sample(now time.Time) {
	passed := now.Sub(p.began)
	if passed < paceInterval {
		return
	}
	messages := float64(p.messages.Swap(0))
	first := p.began.IsZero()
	p.began = now
	if first {
		p.turned = now
		return
	}
	if now.Sub(p.turned) >= time.Minute {
		p.at, p.turned = (p.at+1)%paceMinutes, now
		p.minutes[p.at] = 0
	}
	perSecond := messages / passed.Seconds()
	p.minutes[p.at] = max(p.minutes[p.at], perSecond)
	best := 0.0
	for _, highest := range p.minutes {
		best = max(best, highest)
	}
	p.current.Store(math.Float64bits(perSecond))
	p.best.Store(math.Float64bits(best))
}

// now returns the pace of the last interval.
func (p *pace) now() float64 { return math.Float64frombits(p.current.Load()) }

// highest returns the highest pace of the last paceMinutes.
func (p *pace) highest() float64 { return math.Float64frombits(p.best.Load()) }
