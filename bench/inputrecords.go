//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/klauspost/compress/snappy"

	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// recordTime is the time of all records but those of OTLP.
var recordTime = time.UnixMilli(1_790_000_000_123).UTC()

// lokiRecords is the push protocol of Loki, in protobuf, to analyzers that take packets. All
// records are of one stream, with 3 pairs of structured metadata.
func lokiRecords() *recordFormat {
	return &recordFormat{
		head:  "POST /loki/api/v1/push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n",
		build: buildLoki,
		compress: func(dst, body []byte) []byte {
			return snappy.Encode(dst[:cap(dst)], body)
		},
		recordOutput: packetRecords("shop/shop-1", func(n int) (before, after string) {
			return fmt.Sprintf(`{"timestamp":%d,"level":%q,"message":"`, recordTime.UnixMilli(), recordLevel(n)),
				fmt.Sprintf(`%s","metadata":{"input":"loki","service_name":"shop","pod":"shop-1","namespace":"prod",`+
					`"detected_level":%q,"attributes.trace_id":"%016d","user":"u-1234567","loki.n":"%d"}}`, recordBody(n), recordLevel(n), n*7919, n)
		}),
	}
}

func buildLoki(r *request) {
	const labels, entries, entryTime, entryLine, entryMetadata = 1<<3 | protobuf.Bytes, 2<<3 | protobuf.Bytes, 1<<3 | protobuf.Bytes, 2<<3 | protobuf.Bytes, 3<<3 | protobuf.Bytes
	body, stream := protobuf.Open(r.body, 1<<3|protobuf.Bytes)
	body = protobuf.AppendText(body, labels, []byte(`{service_name="shop", pod="shop-1", namespace="prod"}`))
	for n := range requestRecords {
		at := protobuf.AppendVarint(protobuf.AppendVarint(nil, 1<<3, uint64(recordTime.Unix())), 2<<3, uint64(recordTime.Nanosecond()))
		entry := protobuf.AppendText(nil, entryTime, at)
		entry = protobuf.AppendText(entry, entryLine, []byte(string(noID)+recordBody(n)))
		id := bytes.Index(entry, noID)
		for _, pair := range [][2]string{
			{"detected_level", recordLevel(n)}, {"trace_id", fmt.Sprintf("%016d", n*7919)}, {"user", "u-1234567"}, {"loki.n", fmt.Sprint(n)},
		} {
			var metadata int
			entry, metadata = protobuf.Open(entry, entryMetadata)
			entry = protobuf.AppendText(protobuf.AppendText(entry, 1<<3|protobuf.Bytes, []byte(pair[0])), 2<<3|protobuf.Bytes, []byte(pair[1]))
			entry = protobuf.Close(entry, metadata)
		}
		body = protobuf.AppendText(body, entries, entry)
		r.ids = append(r.ids, len(body)-len(entry)+id)
	}
	length := len(body)
	r.body = protobuf.Close(body, stream)
	r.moveIDs(len(r.body) - length)
}

// elasticsearchRecords is _bulk of Elasticsearch, in the shape of ECS, to analyzers that take
// packets.
func elasticsearchRecords() *recordFormat {
	return &recordFormat{
		head:  "POST /_bulk HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/x-ndjson\r\n",
		build: buildBulk,
		confirm: func(_ *request, m message) error {
			if !bytes.Contains(m.body[:min(64, len(m.body))], []byte(`"errors":false`)) {
				return fmt.Errorf("answered %.200q", m.body)
			}
			return nil
		},
		recordOutput: packetRecords("shop/web-1", func(n int) (before, after string) {
			return fmt.Sprintf(`{"timestamp":%d,"level":%q,"message":"`, recordTime.UnixMilli(), recordLevel(n)),
				fmt.Sprintf(`%s","metadata":{"input":"elasticsearch","es.index":"logs-shop","body_key":"message","service.name":"shop","host.name":"web-1",`+
					`"http.request.method":"GET","http.response.status_code":"200","url.path":"/api/v1/orders/%05d"},`+
					`"types":{"http.response.status_code":"i"}}`, recordBody(n), n)
		}),
	}
}

func buildBulk(r *request) {
	for n := range requestRecords {
		r.body = fmt.Appendf(r.body, `{"create":{"_index":"logs-shop"}}`+"\n"+`{"@timestamp":%q,"log.level":%q,"message":"`,
			recordTime.Format("2006-01-02T15:04:05.000Z"), recordLevel(n))
		r.addID()
		r.body = fmt.Appendf(r.body, `%s","service":{"name":"shop"},"host":{"name":"web-1"},"http":{"request":{"method":"GET"},`+
			`"response":{"status_code":200}},"url":{"path":"/api/v1/orders/%05d"}}`+"\n", recordBody(n), n)
	}
}

// forwardRecords is the Forward protocol of Fluentd and Fluent Bit in mode PackedForward, with
// acknowledgements, to analyzers that take packets.
func forwardRecords() *recordFormat {
	return &recordFormat{
		input: "forward", build: buildForward, response: parseForwardAck, confirm: confirmForwardAck,
		recordOutput: packetRecords("app.web/web-1", func(n int) (before, after string) {
			return fmt.Sprintf(`{"timestamp":%d,"level":%q,"message":"`, recordTime.UnixMilli(), recordLevel(n)),
				fmt.Sprintf(`%s","metadata":{"input":"forward","fluent.tag":"app.web","body_key":"log","stream":"stdout","status":"200",`+
					`"kubernetes.pod_name":"web-1","kubernetes.namespace_name":"shop"},"types":{"status":"i"}}`, recordBody(n))
		}),
	}
}

// appendMsgpack appends a text, or a map of pairs.
func appendMsgpack(dst []byte, value any) []byte {
	switch value := value.(type) {
	case string:
		if len(value) < 32 {
			return append(append(dst, 0xa0|byte(len(value))), value...)
		}
		return append(append(dst, 0xd9, byte(len(value))), value...)
	case int:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(value))
	case [][2]any:
		dst = append(dst, 0x80|byte(len(value)))
		for _, pair := range value {
			dst = appendMsgpack(appendMsgpack(dst, pair[0]), pair[1])
		}
	}
	return dst
}

func buildForward(r *request) {
	const arrayOf3, bin32, eventTime = 0x93, 0xc6, "\xd7\x00"
	r.body = append(appendMsgpack(append(r.body, arrayOf3), "app.web"), bin32, 0, 0, 0, 0)
	start := len(r.body)
	for n := range requestRecords {
		r.body = append(append(r.body, 0x92), eventTime...)
		r.body = binary.BigEndian.AppendUint32(r.body, uint32(recordTime.Unix()))
		r.body = binary.BigEndian.AppendUint32(r.body, uint32(recordTime.Nanosecond()))
		r.body = appendMsgpack(append(r.body, 0x85), "log")
		text := appendMsgpack(nil, string(noID)+recordBody(n))
		r.ids = append(r.ids, len(r.body)+bytes.Index(text, noID))
		r.body = append(r.body, text...)
		for _, pair := range [][2]any{
			{"stream", "stdout"}, {"level", recordLevel(n)}, {"status", 200}, {"kubernetes", [][2]any{{"pod_name", "web-1"}, {"namespace_name", "shop"}}},
		} {
			r.body = appendMsgpack(appendMsgpack(r.body, pair[0]), pair[1])
		}
	}
	binary.BigEndian.PutUint32(r.body[start-4:], uint32(len(r.body)-start))
	r.body = appendMsgpack(appendMsgpack(r.body, [][2]any{{"chunk", ""}})[:len(r.body)+7], string(noID))
	r.chunk = len(r.body) - idDigits
}

// forwardAck is an acknowledgement up to its chunk, whose id is that of the first record.
const forwardAck = "\x81\xa3ack\xac"

func parseForwardAck(b []byte) (m message, ok bool, err error) {
	if len(b) < len(forwardAck)+idDigits {
		return message{}, false, nil
	}
	if string(b[:len(forwardAck)]) != forwardAck {
		return message{}, false, fmt.Errorf("%.40q is no acknowledgement", b)
	}
	m.size = len(forwardAck) + idDigits
	m.start, m.body = fmt.Appendf(nil, "HTTP/1.1 %d", http.StatusOK), b[len(forwardAck):m.size]
	return m, true, nil
}

func confirmForwardAck(r *request, m message) error {
	if !bytes.Equal(m.body, r.body[r.chunk:][:idDigits]) {
		return errors.New("another chunk is acknowledged")
	}
	return nil
}

// syslogRecords is syslog over TCP (RFC 5424, framed by line feeds), which has no responses, to
// analyzers that take packets.
func syslogRecords() *recordFormat {
	return &recordFormat{
		input: "syslog-tcp", oneWay: true, build: buildSyslog,
		recordOutput: packetRecords("web-1.example.com", func(n int) (before, after string) {
			return fmt.Sprintf(`{"timestamp":%d,"level":%q,"message":"`, recordTime.UnixMilli(), recordLevel(n)),
				fmt.Sprintf(`%s","metadata":{"input":"syslog","facility":"local0","appname":"shop","procid":"4711","msgid":"ID47",`+
					`"sd.origin@32473.ip":"192.0.2.1","sd.origin@32473.user":"7"}}`, recordBody(n))
		}),
	}
}

func buildSyslog(r *request) {
	for n := range requestRecords {
		before, after := syslogLine(n, syslogTime)
		r.body = append(r.body, before...)
		r.addID()
		r.body = append(append(r.body, after...), '\n')
	}
}
