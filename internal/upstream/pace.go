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

// pace measures how many messages a second are delivered. record, now, highest and full may
// be called concurrently, sample by one goroutine.
type pace struct {
	messages                atomic.Int64  // since the last interval
	current, best, fullRate atomic.Uint64 // math.Float64bits, per second

	began       time.Time            // of the interval
	held        int64                // sum of the packets that it held in the interval
	allowed     int64                // sum of those that it could have held
	filled      bool                 // it was full in the interval before
	taken       float64              // intervals taken for the full pace
	minuteBegan time.Time            // when minutes[at] began
	minutes     [paceMinutes]float64 // the highest pace of each
	at          int
}

func (p *pace) record(messages int64) { p.messages.Add(messages) }

// sample ends the interval if it is over. It is called every TickInterval, with the packets that
// the analyzer holds, and with the limit of these.
func (p *pace) sample(now time.Time, holds, limit int64) {
	p.held, p.allowed = p.held+holds, p.allowed+limit
	passed := now.Sub(p.began)
	if passed < paceInterval {
		return
	}
	messages := float64(p.messages.Swap(0))
	first, full := p.began.IsZero(), float64(p.held) > fullPart*float64(p.allowed)
	p.began, p.held, p.allowed = now, 0, 0
	if first {
		p.minuteBegan = now
		return
	}
	if now.Sub(p.minuteBegan) >= time.Minute {
		p.at, p.minuteBegan = (p.at+1)%paceMinutes, now
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
	p.measure(perSecond, full && p.filled) // not while it fills
	p.filled = full
}

const (
	// fullPart is the part of the limit that an analyzer holds while more comes than it can
	// deliver: it gets packets again when it holds half. Others hold what comes within the time
	// of a request, and the limit is about what comes within a second.
	fullPart = 0.4
	// smoothing is the part of an interval in the full pace.
	smoothing = 0.3
)

// measure takes an interval for the full pace: only while more comes does an analyzer deliver
// as much as it can. It can do more than that if it ever does. An interval without a delivery is no
// evidence: the analyzer fails, or its requests take longer.
func (p *pace) measure(perSecond float64, isFull bool) {
	able := p.full()
	if perSecond == 0 || !isFull && (able == 0 || perSecond <= able) {
		return
	}
	p.taken++
	able += max(smoothing, 1/p.taken) * (perSecond - able) // at first their mean
	p.fullRate.Store(math.Float64bits(able))
}

// full returns what is delivered a second while more comes, 0 before that is known.
func (p *pace) full() float64 { return math.Float64frombits(p.fullRate.Load()) }

// now returns the pace of the last interval.
func (p *pace) now() float64 { return math.Float64frombits(p.current.Load()) }

// highest returns the highest pace of the last paceMinutes.
func (p *pace) highest() float64 { return math.Float64frombits(p.best.Load()) }
