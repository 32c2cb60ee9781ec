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
	// Reason is why nothing was measured, or explains the figure.
	Reason string `json:"reason,omitempty"`
}

// The statuses of a target.
const (
	met     = "met"
	notMet  = "not met"
	skipped = "skipped"
	invalid = "invalid"
	stated  = "stated" // without a target
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

// statedRatio states the ratio subject/other, round by round, for which there is no target.
func statedRatio(m measure, subject, other string) check {
	target := fmt.Sprintf("%s, × %s", m.name, other)
	return func(results []Result) Verdict {
		one, two := results[0].of(subject), results[0].of(other)
		if v, ok := missing(target, one, two); ok {
			return v
		}
		measured := spreadOf(ratios(one.values(m), two.values(m)))
		return Verdict{Target: target, Status: stated, Measured: &measured}
	}
}

// addedBy checks the ratio (subject − plain)/alone, round by round, against a bound: what
// something adds to a subject, by what it costs alone.
func addedBy(m measure, subject, plain, alone string, b bound) check {
	target := fmt.Sprintf("%s: that of %s less that of %s %s × %s", m.name, subject, plain, b, alone)
	return func(results []Result) Verdict {
		one, two, three := results[0].of(subject), results[0].of(plain), results[0].of(alone)
		if v, ok := missing(target, one, two, three); ok {
			return v
		}
		with, without := one.values(m), two.values(m)
		added := make([]float64, min(len(with), len(without)))
		for i := range added {
			added[i] = with[i] - without[i]
		}
		return b.verdict(target, spreadOf(ratios(added, three.values(m))))
	}
}

// figureOf checks a figure of ours against a bound.
func figureOf(m measure, b bound) check {
	target := fmt.Sprintf("%s %s %s", m.name, b, m.unit)
	return func(results []Result) Verdict {
		s := results[0].of(oursName)
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

// flat checks that no step of a sweep raises a subject's figure beyond a limit. It
// measures the largest increase.
func flat(m measure, subject string, limit float64) check {
	target := fmt.Sprintf("%s flat or falling (each step %s)", m.name, maxBound(limit))
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
		v := maxBound(limit).verdict(target, steepest)
		v.Reason = "the largest step: " + where
		return v
	}
}

// capacityOf returns the ratio of the capacity of two cores to that of one, by the processor time a
// packet, which does not include waits.
func capacityOf(one, two Sample) float64 { return 2 * perPacket.of(one) / perPacket.of(two) }

// eachRound calls f with the samples of one and of two of each round. If one of them has none, ok is
// false, and the verdict says why.
func eachRound(target string, results []Result, one, two string, f func(one, two Sample)) (v Verdict, ok bool) {
	single, double := results[0].of(one), results[0].of(two)
	if v, none := missing(target, single, double); none {
		return v, false
	}
	for i := range min(len(single.Samples), len(double.Samples)) {
		f(single.Samples[i], double.Samples[i])
	}
	return Verdict{}, true
}

// capacity checks capacityOf, round by round, against a bound.
func capacity(one, two string, b bound) check {
	target := fmt.Sprintf("two cores %s × one, by processor time per packet", b)
	return func(results []Result) Verdict {
		var gains []float64
		v, ok := eachRound(target, results, one, two, func(a, c Sample) { gains = append(gains, capacityOf(a, c)) })
		if !ok {
			return v
		}
		return b.verdict(target, spreadOf(gains))
	}
}

// scaling checks the gain of a second core for one subject, or for two processes of it, against a
// bound. The load uses a part of the two cores, so the wall clock does not show the gain. It is
// estimated in two ways, and the lower estimate counts in each round:
//
//   - by cost: twice the processor time a packet on one core, divided by that on
//     two; it falls when the cores contend for locks, memory or caches;
//   - by use: twice the packets that two cores processed, divided by those that they
//     would have processed in the time that other programs left them if each packet,
//     load included, cost as much as on one core; it also falls when one core waits
//     for the other.
func scaling(one, two string, b bound) check {
	target := fmt.Sprintf("two cores %s × one", b)
	return func(results []Result) Verdict {
		var gains, clock, cores []float64
		v, ok := eachRound(target, results, one, two, func(a, c Sample) {
			byCost := capacityOf(a, c)
			whole := (a.ProcessorSeconds + a.LoadSeconds) / float64(a.Packets)
			byUse := 2 * float64(c.Packets) * whole / (2*c.Seconds - c.OtherSeconds)
			gains = append(gains, min(byCost, byUse))
			clock = append(clock, packetRate.of(c)/packetRate.of(a))
			cores = append(cores, c.ProcessorSeconds/c.Seconds)
		})
		if !ok {
			return v
		}
		v = b.verdict(target, spreadOf(gains))
		v.Reason = fmt.Sprintf("estimated, as the load shares the two cores: by wall clock × %.2f, with %.2f cores left to what is measured",
			spreadOf(clock).Median, spreadOf(cores).Median)
		return v
	}
}

// ratioWithinQuota checks the ratio of packets per second of two processes to those of one, round by
// round, against a bound, where each process has a quota, in cores. The ratio is invalid if
// something else than the quotas limits the rate: quotas are not used up, or the core of the load
// has no idle time.
func ratioWithinQuota(two, one string, quota float64, b bound) check {
	const limit = 0.9
	ratio := ratioOf(packetRate, two, one, b)
	return func(results []Result) Verdict {
		v := ratio(results)
		if v.Measured == nil {
			return v
		}
		single, double := results[0].of(one), results[0].of(two)
		usedOne, usedTwo := spreadOf(single.values(subjectCores)).Median/quota, spreadOf(double.values(subjectCores)).Median/(2*quota)
		loadOne, loadTwo := spreadOf(single.values(loadCores)).Median, spreadOf(double.values(loadCores)).Median
		v.Reason = fmt.Sprintf("by wall clock; one distributor used %.0f %% of its quota, two used %.0f %%, and load and analyzers %.0f %% and %.0f %% of their core",
			100*usedOne, 100*usedTwo, 100*loadOne, 100*loadTwo)
		if min(usedOne, usedTwo) < limit || max(loadOne, loadTwo) > limit {
			return Verdict{Target: v.Target, Status: invalid, Reason: "something else than the quotas limits the rate: " + v.Reason}
		}
		return v
	}
}
