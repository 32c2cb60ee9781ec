//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
)

// cost returns a round of 1000 packets of 5 messages at so many µs each.
func cost(microseconds float64) Sample {
	return Sample{RequestPackets: 1, Packets: 1000, Messages: 5000, Seconds: 1, ProcessorSeconds: microseconds / 1000}
}

func costs(subject string, microseconds ...float64) Series {
	s := Series{Subject: subject}
	for _, one := range microseconds {
		s.Samples = append(s.Samples, cost(one))
	}
	return s
}

func TestVerdicts(t *testing.T) {
	fast, slow := costs(oursName, 5, 6, 9), costs(haproxyName, 10, 10, 10)
	lost := Series{Subject: oursName, Samples: fast.Samples, Fault: "LOST: 1 of 9 accepted packets"}
	absent := Series{Subject: haproxyName, Skipped: "haproxy is not installed"}
	for name, c := range map[string]struct {
		check   check
		results []Result
		want    string
		median  float64
	}{
		"below":   {ratioOf(perPacket, oursName, haproxyName, maxBound(0.65)), []Result{{Series: []Series{fast, slow}}}, met, 0.6},
		"above":   {ratioOf(perPacket, oursName, haproxyName, maxBound(0.55)), []Result{{Series: []Series{fast, slow}}}, notMet, 0.6},
		"enough":  {ratioOf(packetRate, oursName, haproxyName, minBound(1)), []Result{{Series: []Series{fast, slow}}}, met, 1},
		"lost":    {ratioOf(perPacket, oursName, haproxyName, maxBound(0.65)), []Result{{Series: []Series{lost, slow}}}, invalid, 0},
		"absent":  {ratioOf(perPacket, oursName, haproxyName, maxBound(0.65)), []Result{{Series: []Series{fast, absent}}}, skipped, 0},
		"falling": {flat(perMessage, oursName, flatness), []Result{{Series: []Series{slow.as(oursName)}}, {Series: []Series{fast}}}, met, 0.6},
		"rising":  {flat(perMessage, oursName, flatness), []Result{{Series: []Series{fast}}, {Series: []Series{slow.as(oursName)}}}, notMet, 10.0 / 6},
		"stated":  {statedRatio(perPacket, oursName, haproxyName), []Result{{Series: []Series{fast, slow}}}, stated, 0.6},
		"unknown": {statedRatio(perPacket, oursName, haproxyName), []Result{{Series: []Series{fast, absent}}}, skipped, 0},
		"added":   {addedBy(perPacket, haproxyName, oursName, nginxName, maxBound(2)), []Result{{Series: []Series{fast, slow, costs(nginxName, 2, 2, 2)}}}, met, 2},
		"more":    {addedBy(perPacket, haproxyName, oursName, nginxName, maxBound(2)), []Result{{Series: []Series{fast, slow, costs(nginxName, 1, 1, 1)}}}, notMet, 4},
		"later":   {flat(perMessage, oursName, flatness), []Result{{Series: []Series{fast}}, {Series: []Series{lost}}}, invalid, 0},
	} {
		v := c.check(c.results)
		if v.Status != c.want {
			t.Errorf("%s: %+v, want %s", name, v, c.want)
		}
		if c.median == 0 && v.Measured != nil {
			t.Errorf("%s: a ratio is shown for an invalid series: %v", name, v.Measured)
		}
		if c.median != 0 && (v.Measured == nil || math.Abs(v.Measured.Median-c.median) > 1e-9) {
			t.Errorf("%s: measured %v, want %v", name, v.Measured, c.median)
		}
	}
}

func (s Series) as(subject string) Series {
	s.Subject = subject
	return s
}

// When each packet costs twice as much on two cores, nothing is gained whatever
// the wall clock says; likewise when the cost is equal but half of the time is
// idle.
func TestScalingCountsTheLowerFigure(t *testing.T) {
	single := costs(oursName, 10)
	single.Samples[0].LoadSeconds = single.Samples[0].ProcessorSeconds
	costly := costs(twoCoresName, 20)
	costly.Samples[0].Seconds = 0.005
	idle := costs(twoCoresName, 10)
	idle.Samples[0].Seconds = 0.02
	shared := costs(twoCoresName, 20)
	shared.Samples[0].Seconds, shared.Samples[0].OtherSeconds = 0.04, 0.04
	for name, double := range map[string]Series{"dear": costly, "idle": idle, "dear, beside others": shared} {
		v := scaling(oursName, twoCoresName, minBound(1.6))([]Result{{Series: []Series{single, double}}})
		if v.Status != notMet || math.Abs(v.Measured.Median-1) > 1e-9 {
			t.Errorf("%s: %+v %v", name, v, v.Measured)
		}
	}
}

// A ratio counts only where the quotas limit both rates, and not the load.
func TestRatioWithinQuota(t *testing.T) {
	round := func(subject string, packets int64, used, load float64) Series {
		return Series{Subject: subject, Samples: []Sample{{Packets: packets, Seconds: 2, ProcessorSeconds: 2 * used, LoadSeconds: 2 * load}}}
	}
	one := round(quotaName, 1000, 0.25, 0.3)
	for name, c := range map[string]struct {
		one, two Series
		want     string
	}{
		"twice":         {one, round(twoQuotaName, 1900, 0.5, 0.6), met},
		"hardly more":   {one, round(twoQuotaName, 1100, 0.5, 0.6), notMet},
		"busy load":     {one, round(twoQuotaName, 1900, 0.5, 0.95), invalid},
		"busy for one":  {round(quotaName, 1000, 0.25, 0.95), round(twoQuotaName, 1900, 0.5, 0.6), invalid},
		"unused by two": {one, round(twoQuotaName, 1900, 0.4, 0.6), invalid},
		"unused by one": {round(quotaName, 1000, 0.2, 0.3), round(twoQuotaName, 1900, 0.5, 0.6), invalid},
		"no groups":     {one, Series{Subject: twoQuotaName, Skipped: "a quota needs a control group"}, skipped},
	} {
		v := ratioWithinQuota(twoQuotaName, quotaName, 0.25, minBound(1.6))([]Result{{Series: []Series{c.one, c.two}}})
		if v.Status != c.want || (v.Measured != nil) != (c.want == met || c.want == notMet) || v.Reason == "" {
			t.Errorf("%s: %+v, want %s", name, v, c.want)
		}
	}
}

func TestMemoryRequiresTheRate(t *testing.T) {
	s := costs(oursName, 5)
	s.Samples[0].Offered, s.Samples[0].ResidentBytes = 20_000, 1<<20
	v := figureOf(peakMemory, maxBound(64))([]Result{{Series: []Series{s}}})
	if v.Status != notMet || !strings.Contains(v.Reason, "1000 packets per second") {
		t.Errorf("a run at a twentieth of the rate is judged %+v", v)
	}
}
