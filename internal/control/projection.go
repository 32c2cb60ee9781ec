package control

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/fairshare"
)

// Projection is the share that an analyzer would get under a configuration, if its health and the
// traffic did not change.
type Projection struct {
	ID string
	// Share is the fraction of all messages, from 0 to 1.
	Share             float64
	MessagesPerSecond float64
	// ObservedPace is the highest recent rate at which the analyzer accepted messages; 0 is
	// unknown. Load is the projected rate as a fraction of it.
	ObservedPace float64
	Load         float64
}

// project adds the projected shares to a result, and warnings about them.
func (c *Controller) project(r *revision, result *Result) {
	if c.Distributor() != nil {
		c.projectFrom(c.Distributor().Status(), r, result)
	}
}

// projectFrom is project for a state of the analyzers.
func (c *Controller) projectFrom(status distributor.Status, r *revision, result *Result) {
	known := make(map[string]distributor.AnalyzerStatus)
	for _, one := range status.Analyzers {
		known[one.ID] = one
	}
	weights, sum := make(map[string]float64), 0.0
	targets := c.Distributor().WithRegistered(r.Config.Distributor.Targets)
	for _, target := range targets {
		weights[target.ID] = effectiveWeight(target, known)
		sum += weights[target.ID]
	}
	result.Projected = []Projection{}
	var shares []float64 // of the analyzers that get packets
	for _, target := range targets {
		one := Projection{ID: target.ID, ObservedPace: known[target.ID].HighestPace}
		if sum > 0 {
			one.Share = weights[target.ID] / sum
		}
		if one.Share > 0 {
			shares = append(shares, one.Share)
		}
		one.MessagesPerSecond = one.Share * status.Rates.In
		if one.ObservedPace > 0 {
			if one.Load = one.MessagesPerSecond / one.ObservedPace; one.Load > 1 {
				result.Warnings = append(result.Warnings, fmt.Sprintf("analyzer %s would get more messages than it delivered in any second lately", one.ID))
			}
		}
		result.Projected = append(result.Projected, one)
	}
	result.BoundMessages = fairshare.MaxDeviationOf(shares, status.LargestPacketMessages)
	if sum == 0 {
		result.Warnings = append(result.Warnings, "no analyzer would get packets")
	}
	if sum, fine := r.Config.Distributor.Targets.WeightSum(); !fine {
		result.Warnings = append(result.Warnings, fmt.Sprintf("the weights sum to %.6g, not to about 1; their proportions are used", sum))
	}
}

// effectiveWeight returns weight × ramp × membership. A new analyzer counts as a member.
func effectiveWeight(target distributor.Target, known map[string]distributor.AnalyzerStatus) float64 {
	if target.State != "" && target.State != distributor.StateReady {
		return 0
	}
	one, isKnown := known[target.ID]
	switch {
	case !isKnown:
		return target.Weight
	case !one.Healthy:
		return 0
	default:
		return target.Weight * one.Ramp
	}
}
