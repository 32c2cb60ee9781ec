//go:build linux

package main

import "fmt"

// benchCase is one row of targets: experiments and how to judge them.
type benchCase struct {
	name        string
	title       string
	measure     measure // what tables and pictures show
	base        string  // the subject that others are compared with
	experiments []experiment
	judges      []judge
}

// experiment lets subjects do the same work in turns.
type experiment struct {
	rung        string
	traffic     traffic
	connections int
	analyzers   int
	lines       bool // analyzers take NDJSON
	rate        float64
	halfPeak    bool    // the rate is half of what the slowest subject reaches
	share       float64 // of the usual round's length
	subjects    []subject
}

// usual is the load that peers are measured with: 64 connections, three
// analyzers, closed loop.
func usual(t traffic, lines bool, subjects ...subject) experiment {
	return experiment{traffic: t, connections: 64, analyzers: 3, lines: lines, share: 1, subjects: subjects}
}

func cases() []benchCase {
	single := traffic{PacketMessages: 5, RequestPackets: 1}
	large := traffic{PacketMessages: 500, RequestPackets: 1}
	many := traffic{PacketMessages: 5, RequestPackets: 100}
	return []benchCase{
		{
			name: "single-lines", title: "Packets of 5 messages, analyzers take NDJSON", measure: perPacket, base: haproxyName,
			experiments: []experiment{usual(single, true, ours(), haproxy(), nginx(), floor())},
			judges:      []judge{ratioOf(perPacket, oursName, haproxyName, atMost(0.65))},
		},
		{
			name: "single", title: "Packets of 5 messages, analyzers take one packet a request", measure: perPacket, base: haproxyName,
			experiments: []experiment{usual(single, false, ours(), haproxy(), nginx(), floor())},
			judges:      []judge{ratioOf(perPacket, oursName, haproxyName, atMost(1.0))},
		},
		{
			name: "large-packet", title: "Requests of one packet of 500 messages", measure: perRequest, base: haproxyName,
			experiments: []experiment{usual(large, true, ours(), haproxy(), nginx(), floor())},
			judges:      []judge{ratioOf(perRequest, oursName, haproxyName, atMost(1.1))},
		},
		{
			name: "large-lines", title: "Requests of NDJSON, 100 packets of 5 messages", measure: perRequest, base: haproxyName,
			experiments: []experiment{usual(many, true, ours(), haproxy(), nginx(), floor())},
			judges:      []judge{ratioOf(perRequest, oursName, haproxyName, atMost(1.1))},
		},
		{
			name: "disk", title: "Packets of 5 messages, JOURNAL=disk against memory", measure: packetRate, base: oursName,
			experiments: []experiment{usual(single, true, ours(), oursOnDisk())},
			judges:      []judge{ratioOf(packetRate, diskName, oursName, atLeast(0.7))},
		},
		againstCollector("collector", "Requests of one packet of 500 messages, against the OpenTelemetry Collector", large, large),
		againstCollector("collector-lines", "Requests of NDJSON, 100 packets of 5 messages, against the OpenTelemetry Collector", many, large),
		latency(single), residentMemory(single), twoCores(single),
		analyzerLadder(single), connectionLadder(single), packetLadder(),
	}
}

// againstCollector lets the collector take as many messages in a request.
func againstCollector(name, title string, t, others traffic) benchCase {
	return benchCase{
		name: name, title: title, measure: messageRate, base: collectorName,
		experiments: []experiment{usual(t, true, ours(), collector(others))},
		judges:      []judge{ratioOf(messageRate, oursName, collectorName, atLeast(10))},
	}
}

func latency(t traffic) benchCase {
	e := usual(t, true, ours(), nginx())
	e.halfPeak = true
	return benchCase{
		name: "latency", title: "Time until the answer, at half of the slower one's peak rate", measure: slowest, base: nginxName,
		experiments: []experiment{e},
		judges:      []judge{ratioOf(slowest, oursName, nginxName, atMost(1.2))},
	}
}

func residentMemory(t traffic) benchCase {
	e := usual(t, true, ours(), haproxy(), nginx())
	e.rate = 20_000
	return benchCase{
		name: "memory", title: "Resident memory at 20,000 packets a second", measure: memory, base: haproxyName,
		experiments: []experiment{e},
		judges:      []judge{figureOf(memory, oursName, atMost(64))},
	}
}

func twoCores(t traffic) benchCase {
	return benchCase{
		name: "two-cores", title: "Two cores instead of one", measure: packetRate, base: oursName,
		experiments: []experiment{usual(t, true, ours(), oursOnTwoCores())},
		judges:      []judge{scaling(oursName, twoCoresName, atLeast(1.6))},
	}
}

// ladder is a case whose experiments differ in one number.
func ladder(name, title, unit string, rungs []int, at func(rung int) experiment) benchCase {
	c := benchCase{name: name, title: title, measure: perMessage, base: haproxyName, judges: []judge{flat(perMessage, oursName)}}
	for _, rung := range rungs {
		e := at(rung)
		e.rung, e.share = fmt.Sprintf("%d %s", rung, unit), 0.4
		c.experiments = append(c.experiments, e)
	}
	return c
}

func analyzerLadder(t traffic) benchCase {
	return ladder("analyzers", "More analyzers, packets of 5 messages", "analyzers", []int{3, 30, 300}, func(rung int) experiment {
		e := usual(t, true, ours(), haproxy())
		e.analyzers = rung
		return e
	})
}

func connectionLadder(t traffic) benchCase {
	return ladder("connections", "More connections, packets of 5 messages", "connections", []int{8, 64, 4096}, func(rung int) experiment {
		e := usual(t, true, ours(), haproxy())
		e.connections = rung
		return e
	})
}

func packetLadder() benchCase {
	return ladder("packets", "Larger packets", "messages a packet", []int{1, 10, 100, 1000, 10_000}, func(rung int) experiment {
		return usual(traffic{PacketMessages: rung, RequestPackets: 1}, true, ours(), haproxy())
	})
}
