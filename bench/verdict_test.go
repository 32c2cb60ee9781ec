//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
)

// cost is a round of 1000 packets of 5 messages at so many µs each.
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
		judge   judge
		results []Result
		want    string
		median  float64
	}{
		"below":   {ratioOf(perPacket, oursName, haproxyName, atMost(0.65)), []Result{{Series: []Series{fast, slow}}}, met, 0.6},
		"above":   {ratioOf(perPacket, oursName, haproxyName, atMost(0.55)), []Result{{Series: []Series{fast, slow}}}, notMet, 0.6},
		"enough":  {ratioOf(packetRate, oursName, haproxyName, atLeast(1)), []Result{{Series: []Series{fast, slow}}}, met, 1},
		"lost":    {ratioOf(perPacket, oursName, haproxyName, atMost(0.65)), []Result{{Series: []Series{lost, slow}}}, invalid, 0},
		"absent":  {ratioOf(perPacket, oursName, haproxyName, atMost(0.65)), []Result{{Series: []Series{fast, absent}}}, skipped, 0},
		"falling": {flat(perMessage, oursName), []Result{{Series: []Series{slow.as(oursName)}}, {Series: []Series{fast}}}, met, 0.6},
		"rising":  {flat(perMessage, oursName), []Result{{Series: []Series{fast}}, {Series: []Series{slow.as(oursName)}}}, notMet, 10.0 / 6},
		"later":   {flat(perMessage, oursName), []Result{{Series: []Series{fast}}, {Series: []Series{lost}}}, invalid, 0},
	} {
		v := c.judge(c.results)
		if v.Standing != c.want {
			t.Errorf("%s: %+v, want %s", name, v, c.want)
		}
		if c.median == 0 && v.Measured != nil {
			t.Errorf("%s: a ratio is shown for what is worth nothing: %v", name, v.Measured)
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

// On two cores each packet costs twice as much, so nothing is gained, whatever
// the wall clock says; and when it costs the same but half of the time is
// spent waiting, nothing is gained either.
func TestScalingCountsTheLowerFigure(t *testing.T) {
	single := costs(oursName, 10)
	single.Samples[0].LoadSeconds = single.Samples[0].ProcessorSeconds
	dear := costs(twoCoresName, 20)
	dear.Samples[0].Seconds = 0.005
	idle := costs(twoCoresName, 10)
	idle.Samples[0].Seconds = 0.02
	for name, double := range map[string]Series{"dear": dear, "idle": idle} {
		v := scaling(oursName, twoCoresName, atLeast(1.6))([]Result{{Series: []Series{single, double}}})
		if v.Standing != notMet || math.Abs(v.Measured.Median-1) > 1e-9 {
			t.Errorf("%s: %+v %v", name, v, v.Measured)
		}
	}
}

func TestMemoryCountsOnlyAtItsRate(t *testing.T) {
	s := costs(oursName, 5)
	s.Samples[0].Offered, s.Samples[0].ResidentBytes = 20_000, 1<<20
	v := figureOf(memory, oursName, atMost(64))([]Result{{Series: []Series{s}}})
	if v.Standing != notMet || !strings.Contains(v.Reason, "1000 packets a second") {
		t.Errorf("a run at a twentieth of the rate is judged %+v", v)
	}
}
