package faults

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// condition is what a step waits for; its members are awaited in order.
type condition struct {
	// Healthy is the number of healthy analyzers.
	Healthy *int
	// Accepted and Refused are numbers of further packets.
	Accepted, Refused int64
	// Waiting is the maximum number of accepted and undelivered packets.
	Waiting *int64
	// Speed is the minimum delivery rate over half a second, as a part of all
	// analyzers' capacity.
	Speed float64
	// Shares are the named analyzers' parts of their messages over one second,
	// within shareTolerance.
	Shares map[string]float64
}

// shareTolerance is the tolerance of Shares, in parts of all messages.
const shareTolerance = 0.02

func (c condition) isEmpty() bool {
	return c.Healthy == nil && c.Waiting == nil && c.Accepted+c.Refused == 0 && c.Speed == 0 && len(c.Shares) == 0
}

// await returns when the condition holds.
func (r *scenarioRunner) await(c condition) {
	r.t.Helper()
	if c.Healthy != nil {
		r.distributor.awaitHealthy(*c.Healthy)
	}
	if c.Accepted > 0 {
		r.emitters.awaitMore(r.t, accepted, c.Accepted)
	}
	if c.Refused > 0 {
		r.emitters.awaitMore(r.t, refused, c.Refused)
	}
	if c.Waiting != nil {
		await(r.t, fmt.Sprintf("at most %d packets wait", *c.Waiting), func() bool {
			b, err := r.distributor.totals()
			return err == nil && b.Packets-b.Delivered-b.DeadLettered <= *c.Waiting
		})
	}
	if c.Speed > 0 {
		r.awaitOver(time.Second/2, fmt.Sprintf("analyzers get %.0f %% of what they can take", 100*c.Speed), func(before, after gauges) bool {
			return r.deliveredBetween(before, after) >= c.Speed*r.capacity()*after.at.Sub(before.at).Seconds()
		})
	}
	if len(c.Shares) > 0 {
		names := slices.Sorted(maps.Keys(c.Shares))
		r.awaitOver(time.Second, fmt.Sprintf("the shares are %v", c.Shares), func(before, after gauges) bool {
			return maxDeviation(shares(names, before, after), c.Shares) <= shareTolerance
		})
	}
}

// awaitOver returns when a condition held over a period, which starts after the
// call.
func (r *scenarioRunner) awaitOver(while time.Duration, what string, holds func(before, after gauges) bool) {
	r.t.Helper()
	const interval = 50 * time.Millisecond
	var seen []gauges
	await(r.t, what, func() bool {
		if len(seen) > 0 && time.Since(seen[len(seen)-1].at) < interval {
			return false
		}
		seen = append(seen, r.gauges())
		for len(seen) > 1 && time.Since(seen[1].at) >= while {
			seen = seen[1:]
		}
		before, after := seen[0], seen[len(seen)-1]
		return after.at.Sub(before.at) >= while && holds(before, after)
	})
}

// deliveredBetween is the number of packets delivered between two moments.
func (r *scenarioRunner) deliveredBetween(before, after gauges) (packets float64) {
	for _, a := range r.analyzers {
		packets += after.deliveredPackets(a.name) - before.deliveredPackets(a.name)
	}
	return packets
}

// maxDeviation returns the largest deviation of a share.
func maxDeviation(got, want map[string]float64) (deviation float64) {
	for name := range want {
		deviation = max(deviation, math.Abs(got[name]-want[name]))
	}
	return deviation
}
