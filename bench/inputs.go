//go:build linux

package main

// ofInput is a case of an input: records of one protocol, in requests of 500, side by side with
// peers that take them. The ratio is to the first peer.
func ofInput(name, title string, f *recordFormat, peers []subject, checks ...check) benchCase {
	e := defaultLoad(traffic{Records: f}, true, append([]subject{ours()}, peers...)...)
	return benchCase{name: name, title: title, measure: perMessage, base: peers[0].Name, experiments: []experiment{e}, checks: checks}
}

// perRecord is the bound of what a record may take of one core, in nanoseconds.
func perRecord(bound float64) check { return figureOf(perMessage, maxBound(bound)) }

// besides states the ratio to a peer.
func besides(peer string) check { return statedRatio(perMessage, oursName, peer) }

func inputCases() []benchCase {
	eighth := ratioOf(perMessage, oursName, collectorName, maxBound(1.0/8))
	return []benchCase{
		ofInput("otlp", "OTLP in protobuf to OTLP in protobuf", otlpRecords(), otlpPeers(otlpRecords()),
			perRecord(1000), eighth, besides(vlagentName)),
		ofInput("otlp-gzip", "OTLP in protobuf with gzip to OTLP in protobuf", gzipOTLPRecords(), otlpPeers(gzipOTLPRecords()),
			perRecord(1e9/600e3), eighth, besides(vlagentName)),
		ofInput("loki", "Loki's protobuf to packets, peers to formats of their own", lokiRecords(), lokiPeers(lokiRecords()),
			perRecord(1000), besides(vlagentName)),
		ofInput("es", "Elasticsearch _bulk to packets, peers to formats of their own", elasticsearchRecords(), elasticsearchPeers(elasticsearchRecords()),
			perRecord(2000), besides(vlagentName)),
		ofInput("forward", "Forward, acknowledged, to packets, peers to formats of their own", forwardRecords(), forwardPeers(forwardRecords()),
			perRecord(2000), besides(collectorName)),
		ofInput("syslog", "Syslog over TCP to packets, peers to formats of their own", syslogRecords(), syslogPeers(syslogRecords()),
			perRecord(2500), besides(rsyslogName), besides(syslogNGName), besides(collectorName), besides(vlagentName)),
	}
}
