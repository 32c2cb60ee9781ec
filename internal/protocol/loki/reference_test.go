package loki

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

func field(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func pushOf(streams ...[]byte) (message []byte) {
	for _, stream := range streams {
		message = append(message, field(1, stream)...)
	}
	return message
}

func streamOf(labels string, entries ...[]byte) []byte {
	message := field(1, []byte(labels))
	for _, entry := range entries {
		message = append(message, field(2, entry)...)
	}
	message = protowire.AppendTag(message, 3, protowire.VarintType) // the hash
	return protowire.AppendVarint(message, 1<<63)
}

func entryOf(seconds, nanos int64, line string, pairs ...string) []byte {
	stamp := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(seconds))
	stamp = protowire.AppendVarint(protowire.AppendTag(stamp, 2, protowire.VarintType), uint64(nanos))
	message := append(field(1, stamp), field(2, []byte(line))...)
	for n := 0; n < len(pairs); n += 2 {
		message = append(message, field(3, append(field(1, []byte(pairs[n])), field(2, []byte(pairs[n+1]))...))...)
	}
	return message
}

// wireFields reads a message as the decoder of Loki does, which drops the bits of a varint beyond 64.
func wireFields(message []byte, yield func(number protowire.Number, kind protowire.Type, content []byte, value uint64)) bool {
	for len(message) > 0 {
		tag, size := consumeVarint(message)
		if size < 0 || int32(tag>>3) <= 0 {
			return false
		}
		message = message[size:]
		var content []byte
		var value uint64
		kind := protowire.Type(tag & 7)
		switch kind {
		case protowire.BytesType:
			length, prefix := consumeVarint(message)
			if prefix < 0 || length > uint64(len(message)-prefix) {
				return false
			}
			size = prefix + int(length)
			content = message[prefix:size]
		case protowire.VarintType:
			value, size = consumeVarint(message)
		case protowire.StartGroupType, protowire.EndGroupType:
			return false
		default:
			size = protowire.ConsumeFieldValue(1, kind, message)
		}
		if size < 0 {
			return false
		}
		message = message[size:]
		yield(protowire.Number(min(tag>>3, math.MaxInt32)), kind, content, value)
	}
	return true
}

// consumeVarint returns a varint of up to ten bytes and its size, or -1.
func consumeVarint(message []byte) (value uint64, size int) {
	for n, b := range message[:min(len(message), 10)] {
		value |= uint64(b&0x7f) << (7 * n)
		if b < 0x80 {
			return value, n + 1
		}
	}
	return 0, -1
}

// referencePush translates a push to JSON, without what is rejected.
func referencePush(message []byte) (text []byte, ok bool) {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][]any           `json:"values"`
	}
	streams := []stream{}
	ok = true
	must := func(valid bool) { ok = ok && valid }
	must(wireFields(message, func(number protowire.Number, kind protowire.Type, content []byte, _ uint64) {
		if number != 1 || kind != protowire.BytesType {
			return
		}
		s := stream{Stream: map[string]string{}}
		var labels string
		var entries [][]byte
		must(wireFields(content, func(number protowire.Number, kind protowire.Type, content []byte, _ uint64) {
			switch {
			case number == 1 && kind == protowire.BytesType:
				labels = string(content)
			case number == 2 && kind == protowire.BytesType:
				entries = append(entries, content)
			}
		}))
		if parseLabels(labels, func(name, value []byte) { s.Stream[string(name)] = string(value) }) != nil {
			return
		}
		for _, entry := range entries {
			value, valid := referenceEntry(entry)
			if must(valid); value != nil {
				s.Values = append(s.Values, value)
			}
		}
		streams = append(streams, s)
	}))
	text, _ = json.Marshal(map[string]any{"streams": streams})
	return text, ok
}

// referenceEntry returns nil for an entry with a time that is out of range.
func referenceEntry(message []byte) (value []any, ok bool) {
	var seconds, nanos int64
	var line string
	pairs := map[string]string{}
	timeOK := true // of the last one
	ok = wireFields(message, func(number protowire.Number, kind protowire.Type, content []byte, _ uint64) {
		switch {
		case kind != protowire.BytesType:
		case number == 1:
			seconds, nanos = 0, 0
			timeOK = wireFields(content, func(number protowire.Number, kind protowire.Type, _ []byte, value uint64) {
				switch {
				case kind != protowire.VarintType:
				case number == 1:
					seconds = int64(value)
				case number == 2:
					nanos = int64(int32(value))
				}
			})
		case number == 2:
			line = string(content)
		case number == 3:
			var name, text string
			wireFields(content, func(number protowire.Number, kind protowire.Type, content []byte, _ uint64) {
				switch {
				case kind != protowire.BytesType:
				case number == 1:
					name = string(content)
				case number == 2:
					text = string(content)
				}
			})
			pairs[name] = text
		}
	})
	if seconds < 0 || seconds >= math.MaxInt64/int64(time.Second) || nanos < 0 || nanos >= 1e9 {
		return nil, ok && timeOK
	}
	return []any{strconv.FormatInt(seconds*int64(time.Second)+nanos, 10), line, pairs}, ok && timeOK
}

// translate returns the messages that a translation makes, and rejected if a record was.
func translate(t *testing.T, translation func(*translator) error) (text string, rejected bool, err error) {
	s := new(protocoltest.System).Start(t, "loki")
	packets := s.Receiver.NewPackets(t.Context(), nil)
	var tr translator
	request := &receiver.Request{Packets: packets, Client: protocoltest.Client, Arrival: time.UnixMilli(1700000000000)}
	tr.begin(request)
	if err := translation(&tr); err != nil {
		packets.Drop()
		return "", false, err
	}
	return s.TextOf(packets), request.Rejected() != nil, nil
}

// Each push in protobuf is translated as the same push in JSON, and each in JSON has the
// records that encoding/json sees.
func FuzzPush(f *testing.F) {
	f.Add(pushOf(streamOf(`{job="x",level="warn"}`, entryOf(1700000000, 1, "line", "k", "v"), entryOf(0, 0, "")), streamOf("{}")))
	f.Add(pushOf(streamOf("{job=}", entryOf(1, 1, "m")), streamOf(`{job="x"}`, entryOf(-1, 0, "m"), entryOf(1, 0, "m"))))
	f.Add([]byte(`{"streams":[{"stream":{"job":"x","n":1},"values":[["1700000000000000000","line",{"k":"v"}],["0",""]]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, _, err := translate(t, func(tr *translator) error { return tr.push(body) })
		if reference, ok := referencePush(body); ok != (err == nil) && !hasBadPair(body) {
			t.Fatalf("%q: %v, and %v", body, err, ok)
		} else if want, _, _ := translate(t, func(tr *translator) error { return tr.pushJSON(reference) }); ok && comparable(body) && sorted(got) != sorted(want) {
			t.Fatalf("%q is\n%s\nand as JSON\n%s", body, got, want)
		}
		checkJSON(t, body)
	})
}

// hasBadPair reports whether structured metadata is malformed, which the reference ignores.
func hasBadPair(body []byte) bool {
	bad := false
	wireFields(body, func(_ protowire.Number, _ protowire.Type, content []byte, _ uint64) {
		wireFields(content, func(_ protowire.Number, _ protowire.Type, content []byte, _ uint64) {
			wireFields(content, func(number protowire.Number, _ protowire.Type, content []byte, _ uint64) {
				bad = bad || number == 3 && !wireFields(content, func(protowire.Number, protowire.Type, []byte, uint64) {})
			})
		})
	})
	return bad
}

// comparable reports whether JSON has all that is in a push: no invalid UTF-8, and no name twice.
func comparable(body []byte) bool {
	return utf8.Valid(body) && !strings.Contains(string(body), `\x`)
}

// sorted returns the words of a text, sorted: names have no order in JSON.
func sorted(text string) string {
	words := strings.Fields(text)
	sort.Strings(words)
	return strings.Join(words, " ")
}

func checkJSON(t *testing.T, body []byte) {
	got, rejected, err := translate(t, func(tr *translator) error { return tr.pushJSON(body) })
	if err != nil || rejected {
		return // the table tests what is malformed
	}
	// Members of maps, unlike those of structs, are found by their exact names.
	var streams []map[string]json.RawMessage
	var members map[string]json.RawMessage
	if err = json.Unmarshal(body, &members); err == nil && members["streams"] != nil {
		err = json.Unmarshal(members["streams"], &streams)
	}
	var lines []string
	for _, stream := range streams {
		var values [][]any
		if stream["values"] != nil {
			err = errors.Join(err, json.Unmarshal(stream["values"], &values))
		}
		for _, value := range values {
			lines = append(lines, fmt.Sprint(value[1]))
		}
	}
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	if n := strings.Count(got, " {"); len(lines) > n {
		t.Fatalf("%q has %d records, got\n%s", body, len(lines), got)
	}
}
