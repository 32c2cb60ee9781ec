//go:build linux

package main

import (
	"fmt"
	"math"
)

// Verdict compares a measurement with a target.
type Verdict struct {
	Target   string  `json:"target"`
	Status   string  `json:"standing"`
	Measured *spread `json:"measured,omitempty"`
	// Reason says why nothing was measured, or explains the figure.
	Reason string `json:"reason,omitempty"`
}

// The statuses of a target.
const (
	met     = "met"
	notMet  = "not met"
	skipped = "skipped"
	invalid = "invalid"
)

// check returns the verdict on a case's results.
type check func([]Result) Verdict

// bound is a limit of a ratio or figure.
type bound struct {
	limit float64
	isMin bool
}

func maxBound(limit float64) bound { return bound{limit: limit} }
func minBound(limit float64) bound { return bound{limit: limit, isMin: true} }

func (b bound) holds(value float64) bool {
	if b.isMin {
		return value >= b.limit
	}
	return value <= b.limit
}

func (b bound) String() string {
	sign := "≤"
	if b.isMin {
		sign = "≥"
	}
	return fmt.Sprintf("%s %.4g", sign, b.limit)
}

func (b bound) verdict(target string, measured spread) Verdict {
	v := Verdict{Target: target, Status: notMet, Measured: &measured}
	if b.holds(measured.Median) {
		v.Status = met
	}
	return v
}

// missing returns the verdict when a series cannot be used.
func missing(target string, series ...Series) (Verdict, bool) {
	for _, s := range series {
		switch {
		case s.Fault != "":
			return Verdict{Target: target, Status: invalid, Reason: s.Subject + ": " + s.Fault}, true
		case len(s.Samples) == 0:
			return Verdict{Target: target, Status: skipped, Reason: s.Subject + ": " + s.Skipped}, true
		}
	}
	return Verdict{}, false
}

// ratioOf checks the ratio subject/other, round by round, against a bound.
func ratioOf(m measure, subject, other string, b bound) check {
	target := fmt.Sprintf("%s %s × %s", m.name, b, other)
	return func(results []Result) Verdict {
		one, two := results[0].of(subject), results[0].of(other)
		if v, ok := missing(target, one, two); ok {
			return v
		}
		return b.verdict(target, spreadOf(ratios(one.values(m), two.values(m))))
	}
}

// figureOf checks a subject's figure against a bound.
func figureOf(m measure, subject string, b bound) check {
	target := fmt.Sprintf("%s %s %s", m.name, b, m.unit)
	return func(results []Result) Verdict {
		s := results[0].of(subject)
		if v, ok := missing(target, s); ok {
			return v
		}
		if reached := spreadOf(s.values(packetRate)).Median; reached < 0.95*s.Samples[0].Offered {
			return Verdict{Target: target, Status: notMet, Reason: fmt.Sprintf("only %.0f packets per second were reached", reached)}
		}
		return b.verdict(target, spreadOf(s.values(m)))
	}
}

// flatness is the maximum increase from one step of a sweep to the next that
// counts as flat: about the variation of repeated runs.
const flatness = 1.10

// flat checks that a subject's figure does not rise along a sweep. It measures
// the largest increase.
func flat(m measure, subject string) check {
	target := fmt.Sprintf("%s flat or falling (each step %s)", m.name, maxBound(flatness))
	return func(results []Result) Verdict {
		steepest := spread{Median: math.Inf(-1)}
		var before []float64
		var where string
		for i, result := range results {
			s := result.of(subject)
			if v, ok := missing(target, s); ok {
				v.Reason = result.Step + ": " + v.Reason
				return v
			}
			values := s.values(m)
			if i > 0 {
				if step := spreadOf(ratios(values, before)); step.Median > steepest.Median {
					steepest, where = step, results[i-1].Step+" to "+result.Step
				}
			}
			before = values
		}
		v := maxBound(flatness).verdict(target, steepest)
		v.Reason = "the largest step: " + where
		return v
	}
}

// scaling holds what a second core gives against a bound. The load needs a part
// of the two cores that there are, so the wall clock cannot tell directly. Two
// figures can, and the lower one counts in each round:
//
//   - by cost: twice the processor time a packet on one core, divided by that on
//     two; it falls when the cores get into each other's way;
//   - by use: twice the packets a second that two cores gave, divided by those
//     they would give if each packet, load included, cost what it costs on one;
//     it falls as well when a core has to wait for the other.
func scaling(one, two string, b bound) check {
	target := fmt.Sprintf("two cores %s × one", b)
	return func(results []Result) Verdict {
		single, double := results[0].of(one), results[0].of(two)
		if v, ok := missing(target, single, double); ok {
			return v
		}
		var gains, clock, cores []float64
		for i := range min(len(single.Samples), len(double.Samples)) {
			a, c := single.Samples[i], double.Samples[i]
			byCost := 2 * perPacket.of(a) / perPacket.of(c)
			whole := (a.ProcessorSeconds + a.LoadSeconds) / float64(a.Packets)
			byUse := packetRate.of(c) * whole
			gains = append(gains, min(byCost, byUse))
			clock = append(clock, packetRate.of(c)/packetRate.of(a))
			cores = append(cores, c.ProcessorSeconds/c.Seconds)
		}
		v := b.verdict(target, spreadOf(gains))
		v.Reason = fmt.Sprintf("estimated, as the load shares the two cores: by wall clock × %.2f, with %.2f cores left to the distributor",
			spreadOf(clock).Median, spreadOf(cores).Median)
		return v
	}
}
