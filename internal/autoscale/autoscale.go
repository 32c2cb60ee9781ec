// Package autoscale decides how many analyzers a group needs, and has a command start and stop
// them.
//
//	distributor ─▶ Inputs ─▶ Scaler ─▶ Decision ─▶ /metrics, GET /v1/scale
//	                                      └──────▶ Driver ─▶ Program
//
// The Scaler is a function of its inputs and of the needs of the quiet time. A Driver
// is all that starts anything.
package autoscale

import (
	"fmt"
	"math"
	"time"
)

// Default is the group of the analyzers that are in no other.
const Default = "default"

// Inputs are what a decision depends on, of one group.
type Inputs struct {
	// Group is the id of the group.
	Group string
	// Current is the number of its analyzers, without those that leave or are not ready, and
	// Healthy the part of them that takes packets.
	Current, Healthy int
	// Arriving is in messages a second, Backlog in messages: accepted and not delivered.
	Arriving, Backlog float64
	// Pace is how many messages a second one analyzer can deliver, 0 if that is unknown.
	Pace float64
	// Paused means that nothing is routed.
	Paused bool
}

// Decision is how many analyzers a group should have, and why.
type Decision struct {
	Inputs
	// Desired is the number of analyzers, within the bounds of the configuration.
	Desired int
	// Needed is what the inputs of this moment need, without bounds and quiet time; it is
	// Current where that cannot be said.
	Needed int
	Reason string
	Config Config
}

// maxNeeded bounds what is needed: more analyzers than a distributor can have.
const maxNeeded = 1024

// Scaler decides for one group. It must not be used concurrently.
type Scaler struct {
	needs window
	pace  float64 // the last known
}

// Decide returns the decision at a time, which must not be before that of the last call.
func (s *Scaler) Decide(now time.Time, c Config, in Inputs) Decision {
	if in.Pace > 0 {
		s.pace = in.Pace
	}
	in.Pace = s.pace
	needed, reason := need(c, in)
	highest := s.needs.add(now, now.Add(-c.QuietTime), needed)
	d := Decision{Inputs: in, Config: c, Needed: needed, Desired: min(max(highest, c.Min), c.Max), Reason: reason}
	switch {
	case highest > c.Max:
		d.Reason += fmt.Sprintf("; but AUTOSCALE_MAX is %d", c.Max)
	case highest < c.Min:
		d.Reason += fmt.Sprintf("; but AUTOSCALE_MIN is %d", c.Min)
	}
	if highest > needed {
		d.Reason += fmt.Sprintf("; %d were needed within the last %g s", highest, c.QuietTime.Seconds())
	}
	return d
}

// need returns how many analyzers the inputs need, or the current number where nothing can be said.
func need(c Config, in Inputs) (needed int, reason string) {
	switch {
	case in.Paused:
		return in.Current, "dispatch is paused: the number stays"
	case in.Current > 0 && in.Healthy == 0:
		return in.Current, "no analyzer of the group is healthy: more would not help, the number stays"
	case !(in.Pace > 0):
		return in.Current, "the pace of an analyzer is not known: the analyzers have delivered at once what came; the number stays"
	}
	perSecond := in.Arriving + in.Backlog/c.DrainTime.Seconds()
	needed = int(min(maxNeeded, math.Ceil(perSecond/(in.Pace*c.Utilization)-rounding)))
	return needed, fmt.Sprintf("%.0f messages/s arrive and %.0f wait, to be delivered within %v: that needs %d, at %.0f %% of the pace of one, which is %.0f messages/s",
		in.Arriving, in.Backlog, c.DrainTime, needed, 100*c.Utilization, in.Pace)
}

// rounding is less than what any analyzer is needed for, and more than errors of rounding.
const rounding = 1e-9
