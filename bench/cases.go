//go:build linux

package main

import (
	"fmt"
	"slices"
)

// benchCase is a set of experiments and of checks of their results.
type benchCase struct {
	name        string
	title       string
	measure     measure // shown in tables and charts
	base        string  // the subject of comparison
	experiments []experiment
	checks      []check
}

// experiment gives subjects the same work in alternating rounds.
type experiment struct {
	step        string
	traffic     traffic
	connections int
	analyzers   int
	lines       bool // analyzers take NDJSON
	rate        float64
	halfPeak    bool    // the rate is half of the slowest subject's peak
	share       float64 // of the default round length
	subjects    []subject
}

// defaultLoad is the load for comparisons with peers: 64 connections, three
// analyzers, closed loop.
func defaultLoad(t traffic, lines bool, subjects ...subject) experiment {
	return experiment{traffic: t, connections: 64, analyzers: 3, lines: lines, share: 1, subjects: subjects}
}

func cases() []benchCase {
	single := traffic{PacketMessages: 5, RequestPackets: 1}
	large := traffic{PacketMessages: 500, RequestPackets: 1}
	many := traffic{PacketMessages: 5, RequestPackets: 100}
	return slices.Concat([]benchCase{
		{
			name: "single-lines", title: "Packets of 5 messages, analyzers take NDJSON", measure: perPacket, base: haproxyName,
			experiments: []experiment{defaultLoad(single, true, ours(), haproxy(), nginx(), floor())},
			checks:      []check{ratioOf(perPacket, oursName, haproxyName, maxBound(0.65))},
		},
		{
			name: "single", title: "Packets of 5 messages, analyzers take one packet a request", measure: perPacket, base: haproxyName,
			experiments: []experiment{defaultLoad(single, false, ours(), haproxy(), nginx(), floor())},
			checks:      []check{ratioOf(perPacket, oursName, haproxyName, maxBound(1.0))},
		},
		{
			name: "large-packet", title: "Requests of one packet of 500 messages", measure: perRequest, base: haproxyName,
			experiments: []experiment{defaultLoad(large, true, ours(), haproxy(), nginx(), floor())},
			checks:      []check{ratioOf(perRequest, oursName, haproxyName, maxBound(1.0))},
		},
		{
			name: "large-lines", title: "Requests of NDJSON, 100 packets of 5 messages", measure: perRequest, base: haproxyName,
			experiments: []experiment{defaultLoad(many, true, ours(), haproxy(), nginx(), floor())},
			checks:      []check{ratioOf(perRequest, oursName, haproxyName, maxBound(1.25))},
		},
		againstCollector("collector", "Requests of one packet of 500 messages, against the OpenTelemetry Collector", large, large),
		againstCollector("collector-lines", "Requests of NDJSON, 100 packets of 5 messages, against the OpenTelemetry Collector", many, large),
		{
			name: "tls", title: "Packets of 5 messages over TLS 1.3 from emitters, analyzers take NDJSON", measure: perPacket, base: haproxyTLSName,
			experiments: []experiment{defaultLoad(single, true, withTLS(oursTLSName, ours()), withTLS(haproxyTLSName, haproxy()), ours())},
			checks:      []check{ratioOf(perPacket, oursTLSName, haproxyTLSName, maxBound(1.0)), ratioOf(perPacket, oursTLSName, oursName, maxBound(3.0))},
		},
		{
			name: "traceparent", title: "Packets of 5 messages with a traceparent each, against those without", measure: perPacket, base: oursName,
			experiments: []experiment{defaultLoad(single, true, traced(single), ours())},
			checks:      []check{ratioOf(perPacket, tracedName, oursName, maxBound(1.1))},
		},
		latency(single), residentMemory(single), start(single), twoCores(single),
		analyzerSweep(single), connectionSweep(single), packetSweep(), compressed(large),
	}, journalCases(single), twoDistributors(single, large), inputCases())
}

// journalCases compare the journals.
func journalCases(single traffic) []benchCase {
	return []benchCase{
		{
			name: "disk", title: "Packets of 5 messages, JOURNAL=disk against memory", measure: packetRate, base: oursName,
			experiments: []experiment{defaultLoad(single, true, ours(), oursOnDisk())},
			checks:      []check{ratioOf(packetRate, diskName, oursName, minBound(0.7)), ratioOf(perPacket, diskName, oursName, maxBound(1.25))},
		},
		manyOnDisk(single),
		{
			name: "jetstream", title: "Packets of 5 messages, JOURNAL=jetstream against memory", measure: perPacket, base: oursName,
			experiments: []experiment{defaultLoad(single, true, ours(), oursOnDisk(), oursOnStreams(streamsName, 1), oursOnStreams(threeName, 3))},
			checks:      []check{ratioOf(perPacket, streamsName, oursName, maxBound(2.5)), ratioOf(packetRate, streamsName, diskName, minBound(0.35))},
		},
	}
}

// againstCollector compares with the collector at the same number of messages
// per request.
func againstCollector(name, title string, t, others traffic) benchCase {
	return benchCase{
		name: name, title: title, measure: messageRate, base: collectorName,
		experiments: []experiment{defaultLoad(t, true, ours(), collector(others))},
		checks:      []check{ratioOf(messageRate, oursName, collectorName, minBound(10))},
	}
}

func latency(t traffic) benchCase {
	e := defaultLoad(t, true, ours(), nginx())
	e.halfPeak = true
	return benchCase{
		name: "latency", title: "Response time, at half of the slower one's peak rate", measure: p99Response, base: nginxName,
		experiments: []experiment{e},
		checks: []check{
			ratioOf(p99Response, oursName, nginxName, maxBound(1.2)),
			ratioOf(p999Response, oursName, nginxName, maxBound(1.2)),
		},
	}
}

func residentMemory(t traffic) benchCase {
	e := defaultLoad(t, true, ours(), haproxy(), nginx())
	e.rate = 20_000
	return benchCase{
		name: "memory", title: "Resident memory at 20,000 packets a second", measure: peakMemory, base: haproxyName,
		experiments: []experiment{e},
		checks:      []check{figureOf(peakMemory, maxBound(64))},
	}
}

// manyOnDisk is the disk journal with enough connections that commits are large.
func manyOnDisk(t traffic) benchCase {
	e := defaultLoad(t, true, ours(), oursOnDisk())
	e.connections = 256
	return benchCase{
		name: "disk-256", title: "Packets of 5 messages, JOURNAL=disk against memory, 256 connections", measure: packetRate, base: oursName,
		experiments: []experiment{e},
		checks:      []check{ratioOf(packetRate, diskName, oursName, minBound(0.9)), ratioOf(perPacket, diskName, oursName, maxBound(1.05))},
	}
}

// start is what a distributor takes before the first packet.
func start(t traffic) benchCase {
	return benchCase{
		name: "start", title: "Start, and memory before the first packet", measure: startTime, base: haproxyName,
		experiments: []experiment{defaultLoad(t, true, ours(), haproxy())},
		checks:      []check{figureOf(startTime, maxBound(50)), figureOf(idleMemory, maxBound(15))},
	}
}

func twoCores(t traffic) benchCase {
	return benchCase{
		name: "two-cores", title: "Two cores instead of one", measure: packetRate, base: oursName,
		experiments: []experiment{defaultLoad(t, true, ours(), oursOnTwoCores())},
		checks:      []check{scaling(oursName, twoCoresName, minBound(1.6))},
	}
}

// twoDistributors compares two distributors with one: each on a core of its own, with journals in
// memory and with the same streams, and each with a fixed capacity. Signed packets with gzip are so
// much work for a distributor, and so little for the load, that the packets per second are compared.
func twoDistributors(t, large traffic) []benchCase {
	large.Encoding, large.Signed = newGzip(), true
	zipped := defaultLoad(large, true, ours(), twice(twoName, ours()))
	zipped.connections, zipped.share = 16, 3
	const quota = 0.25 // the load and the analyzers take about as much as the distributors, of one core
	streams := oursOnStreams(streamsName, 1)
	return []benchCase{
		{
			name: "two-distributors", title: "Two distributors on two cores instead of one on one", measure: packetRate, base: oursName,
			experiments: []experiment{defaultLoad(t, true, ours(), twice(twoName, ours()))},
			checks:      []check{scaling(oursName, twoName, minBound(1.6))},
		},
		{
			name: "two-distributors-gzip", title: "Two distributors on two cores instead of one on one, requests of one packet of 500 messages with gzip", measure: packetRate, base: oursName,
			experiments: []experiment{zipped},
			checks:      []check{ratioOf(packetRate, twoName, oursName, minBound(1.6))},
		},
		{
			name: "two-distributors-quota", title: fmt.Sprintf("Two distributors instead of one, each with a quota of %g cores", quota), measure: packetRate, base: quotaName,
			experiments: []experiment{defaultLoad(t, true, withQuota(quota), twice(twoQuotaName, withQuota(quota)))},
			checks:      []check{ratioWithinQuota(twoQuotaName, quotaName, quota, minBound(1.6))},
		},
		{
			name: "two-distributors-jetstream", title: "Two distributors on two cores instead of one on one, JOURNAL=jetstream, one NATS server", measure: perPacket, base: streamsName,
			experiments: []experiment{defaultLoad(t, true, streams, twice(twoStreamsName, streams))},
			checks:      []check{capacity(streamsName, twoStreamsName, minBound(1.6))},
		},
	}
}

// sweep returns a case whose experiments differ in one parameter, of which no step may
// cost more than limit times the one before.
func sweep(name, title, unit string, limit float64, steps []int, at func(step int) experiment) benchCase {
	c := benchCase{name: name, title: title, measure: perMessage, base: haproxyName, checks: []check{flat(perMessage, oursName, limit)}}
	for _, step := range steps {
		e := at(step)
		e.step, e.share = fmt.Sprintf("%d %s", step, unit), 0.4
		c.experiments = append(c.experiments, e)
	}
	return c
}

func analyzerSweep(t traffic) benchCase {
	return sweep("analyzers", "More analyzers, packets of 5 messages", "analyzers", 1.25, []int{3, 30, 300, 1000}, func(step int) experiment {
		e := defaultLoad(t, true, ours(), haproxy())
		e.analyzers = step
		return e
	})
}

func connectionSweep(t traffic) benchCase {
	return sweep("connections", "More connections, packets of 5 messages", "connections", flatness, []int{8, 64, 4096}, func(step int) experiment {
		e := defaultLoad(t, true, ours(), haproxy())
		e.connections = step
		return e
	})
}

func packetSweep() benchCase {
	return sweep("packets", "Larger packets", "messages a packet", flatness, []int{1, 10, 100, 1000, 10_000}, func(step int) experiment {
		return defaultLoad(traffic{PacketMessages: step, RequestPackets: 1}, true, ours(), haproxy())
	})
}
