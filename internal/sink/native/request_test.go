package native

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/tracelist"
)

func TestSinglePacketIsUnchanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), analyzer.dial)
		body := " {\n\"unknown\": [1, 2.50,\t{}],\"packet_id\":\"a b/\\u00e4%~\",\r\n\"emitter_id\":\"e:ü\",\"messages\":[{\"timestamp\":1,\"level\":\"INFO\",\"message\":\"m\"}]}\n\n"
		p := f.packets.of(t, body)
		p.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		want(t, f.sendAll(t, []*packet.Packet{p}), sink.Delivered, "")
		got := analyzer.received()[0]
		if got.body != body {
			t.Errorf("the analyzer got %q, want %q", got.body, body)
		}
		if key := "e%3A%C3%BC/a%20b%2F%C3%A4%25~"; got.key != key {
			t.Errorf("Idempotency-Key is %q, want %q", got.key, key)
		}
		if got.contentType != jsonType {
			t.Errorf("Content-Type is %q", got.contentType)
		}
		if got.trace != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
			t.Errorf("Traceparent is %q", got.trace)
		}
	})
}

// All JSON spellings of an id have the same Idempotency-Key.
func TestIdempotencyKeyOfEscapedIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), analyzer.dial)
		for i, ids := range [][2]string{{`e-1`, `é/1`}, {`\u0065-1`, `\u00e9\/1`}, {`e\u002D\u0031`, `\u00E9\u002f1`}} {
			body := `{"emitter_id":"` + ids[0] + `","packet_id":"` + ids[1] + `","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
			want(t, f.sendAll(t, []*packet.Packet{f.packets.of(t, body)}), sink.Delivered, "")
			if got, key := analyzer.received()[i].key, "e-1/%C3%A9%2F1"; got != key {
				t.Errorf("the Idempotency-Key of %s is %q, want %q", body, got, key)
			}
		}
	})
}

// Several packets are sent in order and with the bytes of their bodies, as lines.
func TestNDJSON(t *testing.T) {
	for _, test := range []struct {
		name   string
		bodies []string
		lines  int
	}{
		{"plain", []string{packetFormat, packetFormat, packetFormat}, 3},
		{"line break at the end", []string{packetFormat + "\n", packetFormat, packetFormat + "\r\n"}, 3},
		{"large", []string{padded(1 << 20), padded(1 << 20)}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, analyzer := startBatches(t, always(ok))
				var packets []*packet.Packet
				var sent strings.Builder
				for _, body := range test.bodies {
					p := f.packets.of(t, body)
					p.Traceparent = "a"
					packets = append(packets, p)
					sent.WriteString(strings.TrimRight(string(p.Body), "\r\n") + "|")
				}
				want(t, f.sendAll(t, packets), sink.Delivered, "")
				r := analyzer.received()[0]
				var got strings.Builder
				for line := range strings.Lines(r.body) {
					got.WriteString(strings.TrimRight(line, "\r\n") + "|")
				}
				if got.String() != sent.String() || strings.Count(r.body, "\n") != test.lines {
					t.Error("the analyzer got other bytes or another order")
				}
				if r.contentType != ndjsonType || r.key != "" || r.trace != "a" {
					t.Errorf("Content-Type %q, Idempotency-Key %q, Traceparent %q", r.contentType, r.key, r.trace)
				}
			})
		})
	}
}

// A request has the trace of each of its packets, whatever the packets have.
func TestTraces(t *testing.T) {
	for _, test := range []struct{ packets, trace, traces string }{
		{"-", "", ""}, {"a", "a", ""}, {"--", "", ""}, {"aa", "a", ""},
		{"ab", "", "1=a, 2=b"}, {"a-", "", "1=a"}, {"-aaab-a", "", "2-4=a, 5=b, 7=a"},
	} {
		t.Run(test.packets, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, analyzer := startBatches(t, always(ok))
				packets := f.packets.some(t, len(test.packets))
				for i, p := range packets {
					p.Traceparent = strings.Trim(test.packets[i:i+1], "-")
				}
				want(t, f.sendAll(t, packets), sink.Delivered, "")
				if got := analyzer.received()[0]; got.trace != test.trace || got.traces != test.traces {
					t.Errorf("Traceparent is %q and Traceparents is %q, want %q and %q", got.trace, got.traces, test.trace, test.traces)
				}
			})
		})
	}
}

// An analyzer says how many traces a request may have.
func TestAcceptedTraces(t *testing.T) {
	for accepts, want := range map[string]int{
		"application/x-ndjson":                                          tracelist.MaxEntries,
		"application/json;traces=1, application/x-ndjson":               tracelist.MaxEntries,
		"application/x-ndjson; traces=1":                                1,
		"Application/X-NDJSON;charset=utf-8 ; Traces = 7, */*;traces=1": 7,
		"application/x-ndjson;traces=100000":                            tracelist.MaxEntries,
		"application/x-ndjson;traces=0":                                 tracelist.MaxEntries,
		"application/x-ndjson;traces=many;traces":                       tracelist.MaxEntries,
		"application/json":                                              0,
	} {
		bubble(t, func(t *testing.T) {
			analyzer := newFakeAnalyzer(always(ok))
			analyzer.health = func() reply { return status(200, "Accept-Post: "+accepts+"\r\n", "") }
			f := startProbed(t, analyzer.dial)
			if got := f.Capabilities(); got.MaxTraces != want || got.MaxPackets > 1 != (want > 0) {
				t.Errorf("with %q the capabilities are %+v, want %d traces", accepts, got, want)
			}
		})
	}
}

func padded(size int) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":"%%d","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, strings.Repeat("m", size))
}

// NDJSON is accepted while the last successful probe advertises it.
func TestNDJSONIsSentOnlyIfAdvertised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		f := start(t, testURL(t), analyzer.dial)
		wantNDJSON := func(accepted bool) {
			t.Helper()
			if f.acceptsNDJSON() != accepted || f.Capabilities().Stale {
				t.Errorf("the capabilities are %+v", f.Capabilities())
			}
			before := len(analyzer.received())
			if accepted {
				want(t, f.send(t, 2), sink.Delivered, "")
			} else if got := f.send(t, 2); got.Outcome != sink.Rejected || !got.Unsent || len(analyzer.received()) != before {
				t.Errorf("the result is %+v", got)
			}
			want(t, f.send(t, 1), sink.Delivered, "")
		}
		probe := func(health func() reply, outcome sink.Outcome) {
			t.Helper()
			analyzer.set(func(s *fakeAnalyzer) { s.health = health })
			if got := f.probeOnce(t); got.Outcome != outcome {
				t.Errorf("the probe returned %+v", got)
			}
		}
		wantNDJSON(false)
		probe(ndjsonHealth, sink.Delivered)
		wantNDJSON(true)
		probe(func() reply { return status(200, "Accept-Post: application/json\r\n", "") }, sink.Delivered)
		wantNDJSON(false)
		probe(func() reply { return status(200, "Accept-Post: APPLICATION/x-ndjson; charset=utf-8, */*\r\n", "") }, sink.Delivered)
		wantNDJSON(true)
		probe(func() reply { return status(500, "Accept-Post: application/json\r\n", "") }, sink.Failed)
		wantNDJSON(true)
		// A 415 to NDJSON has the effect of not advertising it.
		analyzer.set(func(s *fakeAnalyzer) {
			s.ingest = func(r receivedRequest) reply {
				if r.contentType == ndjsonType {
					return status(415, "", "")
				}
				return ok
			}
		})
		if got := f.send(t, 2); got.Outcome != sink.Rejected || got.Reason != sink.UnsupportedMedia || got.Unsent {
			t.Errorf("the result is %+v", got)
		}
		wantNDJSON(false)
	})
}
