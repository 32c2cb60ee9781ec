package faults

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// condition is what a step may wait for, one after the other.
type condition struct {
	// Healthy analyzers there are.
	Healthy *int
	// Accepted and Refused are so many more packets.
	Accepted, Refused int64
	// Waiting is how many accepted packets are not delivered, at most.
	Waiting *int64
	// Speed is the part of what all analyzers can take that they were delivered
	// in the last half of a second, at least.
	Speed float64
	// Shares are what the analyzers named had of their messages in the last
	// second, each within closely.
	Shares map[string]float64
}

// closely is how far a share may be off to have been reached, of all messages.
const closely = 0.02

func (c condition) isNone() bool {
	return c.Healthy == nil && c.Waiting == nil && c.Accepted+c.Refused == 0 && c.Speed == 0 && len(c.Shares) == 0
}

// await returns when the condition holds.
func (g *stage) await(c condition) {
	g.t.Helper()
	if c.Healthy != nil {
		g.distributor.awaitHealthy(*c.Healthy)
	}
	if c.Accepted > 0 {
		g.emitters.awaitMore(g.t, accepted, c.Accepted)
	}
	if c.Refused > 0 {
		g.emitters.awaitMore(g.t, refused, c.Refused)
	}
	if c.Waiting != nil {
		await(g.t, fmt.Sprintf("at most %d packets wait", *c.Waiting), func() bool {
			b, err := g.distributor.books()
			return err == nil && b.Packets-b.Delivered-b.DeadLettered <= *c.Waiting
		})
	}
	if c.Speed > 0 {
		g.awaitOver(time.Second/2, fmt.Sprintf("analyzers get %.0f %% of what they can take", 100*c.Speed), func(before, after gauges) bool {
			return g.delivered(before, after) >= c.Speed*g.capacity()*after.at.Sub(before.at).Seconds()
		})
	}
	if len(c.Shares) > 0 {
		names := slices.Sorted(maps.Keys(c.Shares))
		g.awaitOver(time.Second, fmt.Sprintf("the shares are %v", c.Shares), func(before, after gauges) bool {
			return furthestOff(shares(names, before, after), c.Shares) <= closely
		})
	}
}

// awaitOver returns when a condition held between now and a while ago, which
// may not reach back behind the call.
func (g *stage) awaitOver(while time.Duration, what string, holds func(before, after gauges) bool) {
	g.t.Helper()
	const interval = 50 * time.Millisecond
	var seen []gauges
	await(g.t, what, func() bool {
		if len(seen) > 0 && time.Since(seen[len(seen)-1].at) < interval {
			return false
		}
		seen = append(seen, g.gauges())
		for len(seen) > 1 && time.Since(seen[1].at) >= while {
			seen = seen[1:]
		}
		before, after := seen[0], seen[len(seen)-1]
		return after.at.Sub(before.at) >= while && holds(before, after)
	})
}

// delivered is how many packets all analyzers got between two moments.
func (g *stage) delivered(before, after gauges) (packets float64) {
	for _, a := range g.analyzers {
		packets += after.deliveredPackets(a.name) - before.deliveredPackets(a.name)
	}
	return packets
}

// furthestOff returns by how much the share that is furthest off is so.
func furthestOff(got, want map[string]float64) (most float64) {
	for name := range want {
		most = max(most, math.Abs(got[name]-want[name]))
	}
	return most
}
