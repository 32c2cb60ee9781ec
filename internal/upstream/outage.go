package upstream

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
)

// Outage is why no packets are routed to an analyzer. The zero value is none.
type Outage uint8

// An analyzer itself is the cause of the first four, the router that of the others.
const (
	_           Outage = iota
	Probing            // the first probe is not complete
	BreakerOpen        // requests or probes failed
	AskedPause         // the analyzer requested a pause
	NoRoom             // it holds as many packets as it may
	Drain              // an operator drains it
	Maint              // an operator took it out for maintenance
	Avoided            // it just returned the packet
)

var outageNames = [...]string{"", "probing", "breaker_open", "asked_pause", "no_room", "drain", "maint", "avoided"}

// String returns the name in explanations and traces.
func (o Outage) String() string { return outageNames[min(int(o), len(outageNames)-1)] }

// Outage returns why Capacity reports no capacity that is not transient, and until when at
// the latest if that is known. It may be called concurrently.
func (u *Upstream) Outage(now time.Time) (reason Outage, until time.Time) {
	switch {
	case !u.probed.Load():
		return Probing, time.Time{}
	case u.breaker.State() == breaker.Open:
		return BreakerOpen, u.breaker.NextProbe()
	case u.pausing(now):
		return AskedPause, u.created.Add(time.Duration(u.pausedUntil.Load()))
	default:
		return NoRoom, time.Time{}
	}
}

// OutageNamed returns the outage with a name, or 0.
func OutageNamed(name string) Outage { return Outage(max(slices.Index(outageNames[:], name), 0)) }
