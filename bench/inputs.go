//go:build linux

package main

// ofInput is a case of an input: records of one protocol, in requests of 500.
func ofInput(name, title string, f *recordFormat, check ...check) benchCase {
	e := defaultLoad(traffic{Records: f}, true, ours())
	return benchCase{name: name, title: title, measure: perMessage, base: oursName, experiments: []experiment{e}, checks: check}
}

// perRecord is the bound of what a record may take of one core, in nanoseconds.
func perRecord(bound float64) check { return figureOf(perMessage, oursName, maxBound(bound)) }

// againstOTLP compares OTLP in and out with the collector.
func againstOTLP(name, title string, f *recordFormat, checks ...check) benchCase {
	c := ofInput(name, title, f, append(checks, ratioOf(perMessage, oursName, collectorName, maxBound(1.0/8)))...)
	c.base = collectorName
	c.experiments[0].subjects = append(c.experiments[0].subjects, collector(traffic{Records: f}))
	return c
}

func inputCases() []benchCase {
	return []benchCase{
		againstOTLP("otlp", "OTLP in protobuf to OTLP in protobuf", otlpRecords(), perRecord(1000)),
		againstOTLP("otlp-gzip", "OTLP in protobuf with gzip to OTLP in protobuf", gzipOTLPRecords(), perRecord(1e9/600e3)),
		ofInput("loki", "Loki's protobuf to packets", lokiRecords(), perRecord(1000)),
		ofInput("es", "Elasticsearch _bulk to packets", elasticsearchRecords(), perRecord(2000)),
		ofInput("forward", "Forward, acknowledged, to packets", forwardRecords(), perRecord(2000)),
		ofInput("syslog", "Syslog over TCP to packets", syslogRecords(), perRecord(2500)),
	}
}
