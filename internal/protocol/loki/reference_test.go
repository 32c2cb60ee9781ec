package loki

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
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

// wireFields reads a message by protowire.
func wireFields(message []byte, yield func(number protowire.Number, kind protowire.Type, content []byte, value uint64)) bool {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 || kind == protowire.StartGroupType || kind == protowire.EndGroupType {
			return false
		}
		message = message[size:]
		var content []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			content, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			value, size = protowire.ConsumeVarint(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 {
			return false
		}
		message = message[size:]
		yield(number, kind, content, value)
	}
	return true
}

// referencePush translates a push to JSON, with the labels of each stream kept in one.
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
		must(wireFields(content, func(number protowire.Number, kind protowire.Type, content []byte, _ uint64) {
			switch {
			case number == 1 && kind == protowire.BytesType:
				labels = string(content)
			case number == 2 && kind == protowire.BytesType:
				value, valid := referenceEntry(content)
				must(valid)
				s.Values = append(s.Values, value)
			}
		}))
		must(parseLabels(labels, func(name, value []byte) { s.Stream[string(name)] = string(value) }) == nil)
		streams = append(streams, s)
	}))
	text, _ = json.Marshal(map[string]any{"streams": streams})
	return text, ok
}

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
		return nil, false
	}
	return []any{strconv.FormatInt(seconds*int64(time.Second)+nanos, 10), line, pairs}, ok && timeOK
}

// translate returns the messages that a translation makes.
func translate(t *testing.T, translation func(*translator) error) (string, error) {
	l := protocoltest.NewLender(t, 64<<20)
	packets := l.NewPackets(t.Context())
	var tr translator
	tr.begin(packets, netip.MustParseAddr("192.0.2.1"), time.UnixMilli(1700000000000))
	if err := translation(&tr); err != nil {
		packets.Drop()
		return "", err
	}
	return l.Text(packets), nil
}

// Each push in protobuf is translated as the same push in JSON, and each in JSON has the
// records that encoding/json sees.
func FuzzPush(f *testing.F) {
	f.Add(pushOf(streamOf(`{job="x",level="warn"}`, entryOf(1700000000, 1, "line", "k", "v"), entryOf(0, 0, "")), streamOf("{}")))
	f.Add([]byte(`{"streams":[{"stream":{"job":"x","n":1},"values":[["1700000000000000000","line",{"k":"v"}],["0",""]]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := translate(t, func(tr *translator) error { return tr.push(body) })
		if reference, ok := referencePush(body); ok != (err == nil) && !hasBadPair(body) {
			t.Fatalf("%q: %v, and %v", body, err, ok)
		} else if want, _ := translate(t, func(tr *translator) error { return tr.pushJSON(reference) }); ok && comparable(body) && sorted(got) != sorted(want) {
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
	got, err := translate(t, func(tr *translator) error { return tr.pushJSON(body) })
	var push struct {
		Streams []struct {
			Stream map[string]any `json:"stream"`
			Values [][]any        `json:"values"`
		} `json:"streams"`
	}
	if err != nil {
		return // the table tests what is malformed
	}
	if err := json.Unmarshal(body, &push); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	var lines []string
	for _, stream := range push.Streams {
		for _, value := range stream.Values {
			lines = append(lines, fmt.Sprint(value[1]))
		}
	}
	if n := strings.Count(got, " {"); len(lines) > n {
		t.Fatalf("%q has %d records, got\n%s", body, len(lines), got)
	}
}
