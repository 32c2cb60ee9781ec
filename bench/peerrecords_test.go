//go:build linux

package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// reading is a round in which all records of one request were accepted.
func reading() *ledger {
	l := &ledger{}
	l.accept(l.assignIDs(requestRecords), requestRecords)
	return l
}

// identified returns the text with the id of record n.
func identified(text []byte, n int) []byte {
	return bytes.ReplaceAll(text, noID, fmt.Appendf(nil, "%012d", n))
}

// outputs are the outputs of peers, with what each sends of all records.
func outputs(t *testing.T) map[string]struct {
	output recordOutput
	sent   []byte
} {
	t.Helper()
	var rows, lines, records []byte
	row := func(n int) []byte {
		return nativeRow([][2]string{{"pod", "p"}}, int64(n), [][2]string{{"a", "b"}, {"", string(noID) + recordBody(n)}, {"c", "d"}})
	}
	record := func(n int) []byte {
		return otlpPair(otlpBody(nil, "<1>"+string(noID)+recordBody(n)), otlp.RecordAttributes, "message", string(noID)+"!")
	}
	body, resourceLogs := protobuf.Open(nil, otlp.RequestResourceLogs)
	body = append(body, protobuf.AppendText(nil, otlp.ResourceLogsResource, nil)...)
	body, scopeLogs := protobuf.Open(body, otlp.ResourceLogsScopeLogs)
	body = append(body, protobuf.AppendText(nil, otlp.ScopeLogsScope, nil)...)
	for n := range requestRecords {
		rows = append(rows, identified(row(n), n)...)
		before, after := syslogLine(n, "15:04")
		lines = append(lines, identified([]byte(before+string(noID)+after+"\n"), n)...)
		body = protobuf.AppendText(body, otlp.ScopeLogsLogRecords, identified(record(n), n))
	}
	records = protobuf.Close(protobuf.Close(body, scopeLogs), resourceLogs)
	return map[string]struct {
		output recordOutput
		sent   []byte
	}{
		"native": {nativeRows(row), rows}, "syslog": {syslogLines("15:04"), lines}, "translated": {translated(record), records},
	}
}

// Whatever byte of a peer's output is changed, the change is found.
func TestEveryChangedRecordOfPeersIsFound(t *testing.T) {
	for name, o := range outputs(t) {
		encode := func(sent []byte) []byte { return sent }
		if name == "native" {
			writer, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			encode = func(sent []byte) []byte { return writer.EncodeAll(sent, nil) }
		}
		l := reading()
		if o.output.arrived(encode(o.sent), l); l.damaged != 0 || l.missing != 0 || l.duplicates != 0 {
			t.Errorf("%s: %d records are missing, %d changed, %d duplicates", name, l.missing, l.damaged, l.duplicates)
		}
		if o.output.arrived(encode(o.sent), l); l.duplicates != requestRecords {
			t.Errorf("%s: %d records arrived again", name, l.duplicates)
		}
		for at := 0; at < len(o.sent); at += 409 {
			l = reading()
			changed := bytes.Clone(o.sent)
			changed[at] ^= 0x80
			if o.output.arrived(encode(changed), l); l.damaged == 0 && l.missing == 0 {
				t.Fatalf("%s: a change of byte %d is not found", name, at)
			}
		}
	}
}

// The order of attributes, and of members of a map, may differ in a translated record, and the
// time of its observation; nothing else may.
func TestTranslatedRecordsHaveNoOrder(t *testing.T) {
	sent := otlpBody(nil, string(noID))
	for _, pair := range [][2]string{{"a", "1"}, {"map.x", "2"}, {"map.y", "3"}} {
		sent = otlpPair(sent, otlp.RecordAttributes, pair[0], pair[1])
	}
	o := &otlpReader{translated: true}
	otlpOutput(o, func(int) []byte { return sent })
	record := func(members ...string) []byte {
		message, pair := protobuf.Open(nil, otlp.RecordAttributes)
		message = protobuf.AppendText(message, otlp.KeyValueKey, []byte("map"))
		message, value := protobuf.Open(message, otlp.KeyValueValue)
		message, list := protobuf.Open(message, otlp.ValueMap)
		for i := 0; i < len(members); i += 2 {
			message = otlpPair(message, otlp.ListItems, members[i], members[i+1])
		}
		message = protobuf.Close(protobuf.Close(protobuf.Close(message, list), value), pair)
		message = otlpPair(message, otlp.RecordAttributes, "a", "1")
		return identified(protobuf.AppendFixed64(otlpBody(message, string(noID)), otlp.RecordObservedTime, 7), 3)
	}
	for name, c := range map[string]struct {
		record []byte
		want   bool
	}{
		"in another order": {record("y", "3", "x", "2"), true},
		"a member less":    {record("y", "3"), false},
		"a member more":    {record("y", "3", "x", "2", "x", "2"), false},
		"another value":    {record("y", "3", "x", "3"), false},
	} {
		if id, ok := o.record(c.record, reading()); ok != c.want || id != 3 {
			t.Errorf("%s: record %d, %v", name, id, ok)
		}
	}
}
