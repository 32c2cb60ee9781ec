//go:build linux

package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// otlpPeers take OTLP.
func otlpPeers(f *recordFormat) []subject {
	resource := otlpResourcePairs()
	tags := slices.SortedFunc(slices.Values(resource), func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return []subject{
		collector(traffic{Records: f}),
		vlagent(f.at("/insert/opentelemetry/v1/logs").to(nativeRows(func(n int) []byte {
			fields := slices.Concat(resource, [][2]string{
				{"scope.name", otlpScopeName}, {"scope.version", "unknown"}, {"", string(noID) + recordBody(n)},
				{"http.request.method", "GET"}, {"url.path", fmt.Sprintf("/api/v1/orders/%05d", n)}, {"user.id", "u-1234567"},
				{"trace_id", hex.EncodeToString(fmt.Appendf(nil, "%016d", n*7919))}, {"span_id", hex.EncodeToString(fmt.Appendf(nil, "%08d", n*7919))},
				{"severity_number", fmt.Sprint(otlpSeverity(recordLevel(n)))}, {"severity_text", recordLevel(n)},
			})
			return nativeRow(tags, otlpTime+int64(n)*1001, fields)
		}))),
	}
}

// lokiPeers take the push protocol of Loki.
func lokiPeers(f *recordFormat) []subject {
	return []subject{
		vlagent(f.at("/insert/loki/api/v1/push").to(nativeRows(func(n int) []byte {
			return nativeRow([][2]string{{"namespace", "prod"}, {"pod", "shop-1"}, {"service_name", "shop"}}, recordTime.UnixNano(), [][2]string{
				{"service_name", "shop"}, {"pod", "shop-1"}, {"namespace", "prod"}, {"detected_level", recordLevel(n)},
				{"trace_id", fmt.Sprintf("%016d", n*7919)}, {"user", "u-1234567"}, {"loki.n", fmt.Sprint(n)}, {"", string(noID) + recordBody(n)},
			})
		}))),
	}
}

// elasticsearchPeers take _bulk.
func elasticsearchPeers(f *recordFormat) []subject {
	return []subject{
		vlagent(f.at("/insert/elasticsearch/_bulk?_time_field=@timestamp&_msg_field=message&_stream_fields=service.name,host.name").to(nativeRows(func(n int) []byte {
			return nativeRow([][2]string{{"host.name", "web-1"}, {"service.name", "shop"}}, recordTime.UnixNano(), [][2]string{
				{"log.level", recordLevel(n)}, {"", string(noID) + recordBody(n)}, {"service.name", "shop"}, {"host.name", "web-1"},
				{"http.request.method", "GET"}, {"http.response.status_code", "200"}, {"url.path", fmt.Sprintf("/api/v1/orders/%05d", n)},
			})
		}))),
	}
}

// forwardPeers take Forward.
func forwardPeers(f *recordFormat) []subject {
	return []subject{
		collector(traffic{Records: f.to(translated(func(n int) []byte {
			record := protobuf.AppendFixed64(nil, otlp.RecordTime, uint64(recordTime.UnixNano()))
			record = otlpBody(record, string(noID)+recordBody(n))
			for _, pair := range [][2]string{
				{"fluent.tag", "app.web"}, {"stream", "stdout"}, {"level", recordLevel(n)}, {"kubernetes.pod_name", "web-1"}, {"kubernetes.namespace_name", "shop"},
			} {
				record = otlpPair(record, otlp.RecordAttributes, pair[0], pair[1])
			}
			return otlpNumber(record, "status", 200)
		}))}),
	}
}

// syslogPeers take syslog. rsyslog and syslog-ng send lines over TCP; the collector keeps the
// line and adds its parts, vlagent adds the parts.
func syslogPeers(f *recordFormat) []subject {
	return []subject{
		rsyslog(f.to(syslogLines(syslogTime))),
		syslogNG(f.to(syslogLines("2006-01-02T15:04:05.000-07:00"))),
		collector(traffic{Records: f.to(translated(collectedSyslog))}),
		vlagent(f.to(nativeRows(func(n int) []byte {
			_, severity, name := syslogSeverity(n)
			if name == "err" {
				name = "error"
			}
			return nativeRow([][2]string{{"app_name", "shop"}, {"hostname", "web-1.example.com"}, {"proc_id", "4711"}}, recordTime.UnixNano(), [][2]string{
				{"priority", fmt.Sprint(syslogPriority(n))}, {"facility_keyword", "local0"}, {"level", name}, {"facility", "16"}, {"severity", fmt.Sprint(severity)},
				{"format", "rfc5424"}, {"hostname", "web-1.example.com"}, {"app_name", "shop"}, {"proc_id", "4711"}, {"msg_id", "ID47"},
				{"origin@32473.ip", "192.0.2.1"}, {"origin@32473.user", "7"}, {"", string(noID) + recordBody(n)},
			})
		}))),
	}
}

// collectedSyslog returns what the collector makes of a record of syslog.
func collectedSyslog(n int) []byte {
	number, _, name := syslogSeverity(n)
	before, after := syslogLine(n, syslogTime)
	record := protobuf.AppendFixed64(nil, otlp.RecordTime, uint64(recordTime.UnixNano()))
	record = protobuf.AppendVarint(record, otlp.RecordSeverityNumber, number)
	record = protobuf.AppendText(record, otlp.RecordSeverityText, []byte(name))
	record = otlpBody(record, before+string(noID)+after)
	for _, pair := range [][2]string{
		{"appname", "shop"}, {"facility_text", "local0"}, {"hostname", "web-1.example.com"}, {"message", string(noID) + recordBody(n)}, {"msg_id", "ID47"},
		{"proc_id", "4711"}, {"structured_data.origin@32473.ip", "192.0.2.1"}, {"structured_data.origin@32473.user", "7"},
	} {
		record = otlpPair(record, otlp.RecordAttributes, pair[0], pair[1])
	}
	record = otlpNumber(record, "facility", 16)
	record = otlpNumber(record, "priority", uint64(syslogPriority(n)))
	return otlpNumber(record, "version", 1)
}

// translated is the collector's output of records of another protocol, which have no resource.
func translated(record func(n int) []byte) recordOutput {
	return otlpOutput(&otlpReader{translated: true, resource: protobuf.AppendText(nil, otlp.ResourceLogsResource, nil)}, record)
}

// otlpNumber appends an attribute that is an integer.
func otlpNumber(record []byte, key string, value uint64) []byte {
	record, pair := protobuf.Open(record, otlp.RecordAttributes)
	record = protobuf.AppendText(record, otlp.KeyValueKey, []byte(key))
	record, inner := protobuf.Open(record, otlp.KeyValueValue)
	record = protobuf.AppendVarint(record, otlp.ValueInt, value)
	return protobuf.Close(protobuf.Close(record, inner), pair)
}
