package upstream

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

func testURL(t testing.TB) *url.URL {
	t.Helper()
	base, err := testConfig().parseURL()
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func TestSinglePacketIsUnchanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		b := start(t, testConfig(), analyzer.dial)
		body := " {\n\"unknown\": [1, 2.50,\t{}],\"packet_id\":\"a b/\\u00e4%~\",\r\n\"emitter_id\":\"e:ü\",\"messages\":[{\"timestamp\":1,\"level\":\"INFO\",\"message\":\"m\"}]}\n\n"
		p := b.packets.of(t, body)
		p.Packet.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		b.Offer([]Delivery{p})
		b.settler.await(t, 1)
		got := analyzer.received()[0]
		if got.body != body {
			t.Errorf("the analyzer got %q, want %q", got.body, body)
		}
		if want := "e%3A%C3%BC/a%20b%2F%C3%A4%25~"; got.key != want {
			t.Errorf("Idempotency-Key is %q, want %q", got.key, want)
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
		b := start(t, testConfig(), analyzer.dial)
		for i, ids := range [][2]string{{`e-1`, `é/1`}, {`\u0065-1`, `\u00e9\/1`}, {`e\u002D\u0031`, `\u00E9\u002f1`}} {
			body := `{"emitter_id":"` + ids[0] + `","packet_id":"` + ids[1] + `","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
			b.Offer([]Delivery{b.packets.of(t, body)})
			b.settler.await(t, i+1)
			if got, want := analyzer.received()[i].key, "e-1/%C3%A9%2F1"; got != want {
				t.Errorf("the Idempotency-Key of %s is %q, want %q", body, got, want)
			}
		}
	})
}

// Batches keep the order and the bytes of the bodies, as lines.
func TestBatches(t *testing.T) {
	const plain = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
	broken := strings.Replace(plain, ",", ",\n", 1)
	type one struct{ body, trace string }
	for _, test := range []struct {
		name    string
		limit   int64
		packets []one
		want    []int // packets of each request
	}{
		{"plain", 10, []one{{plain, ""}, {plain, ""}, {plain, ""}}, []int{3}},
		{"limit", 2, []one{{plain, ""}, {plain, ""}, {plain, ""}}, []int{2, 1}},
		{"line break at the end", 10, []one{{plain + "\n", ""}, {plain, ""}, {plain + "\r\n", ""}}, []int{3}},
		{"line break within, first", 10, []one{{broken, ""}, {plain, ""}, {plain, ""}}, []int{1, 2}},
		{"line break within, later", 10, []one{{plain, ""}, {plain, ""}, {broken, ""}, {plain, ""}}, []int{2, 1, 1}},
		{"two line breaks at the end", 10, []one{{plain, ""}, {plain + "\n\n", ""}, {plain, ""}}, []int{1, 1, 1}},
		{"traces", 10, []one{{plain, "a"}, {plain, "a"}, {plain, "b"}, {plain, ""}, {plain, ""}}, []int{2, 1, 2}},
		{"bytes", 10, []one{{padded(maxBatchBytes / 2), ""}, {padded(maxBatchBytes / 3), ""}, {padded(maxBatchBytes / 3), ""}}, []int{2, 1}},
		{"larger than a batch", 10, []one{{padded(2 * maxBatchBytes), ""}, {plain, ""}}, []int{1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = ndjsonHealth
				b := start(t, testConfig(), analyzer.dial)
				b.batch.packets.Store(test.limit)
				var packets []Delivery
				var sent strings.Builder
				for _, one := range test.packets {
					p := b.packets.of(t, one.body)
					p.Packet.Traceparent = one.trace
					packets = append(packets, p)
					sent.WriteString(strings.TrimRight(string(p.Packet.Body), "\r\n") + "|")
				}
				b.Offer(packets)
				b.settler.await(t, len(packets))
				var got strings.Builder
				requests := analyzer.received()
				if len(requests) != len(test.want) {
					t.Fatalf("%d requests, want %v", len(requests), test.want)
				}
				for i, r := range requests {
					count := 1
					if r.contentType == ndjsonType {
						count = strings.Count(r.body, "\n")
						for line := range strings.Lines(r.body) {
							got.WriteString(strings.TrimRight(line, "\r\n") + "|")
						}
					} else {
						got.WriteString(strings.TrimRight(r.body, "\r\n") + "|")
					}
					if count != test.want[i] {
						t.Errorf("request %d carries %d packets, want %d", i+1, count, test.want[i])
					}
					if (count == 1) != (r.key != "") {
						t.Errorf("a request of %d packets has the Idempotency-Key %q", count, r.key)
					}
				}
				if got.String() != sent.String() {
					t.Error("the analyzer got other bytes or another order")
				}
			})
		})
	}
}

func padded(size int) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":"%%d","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, strings.Repeat("m", size))
}

// NDJSON is sent while the last successful probe advertises it.
func TestNDJSONIsSentOnlyIfAdvertised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		config := testConfig()
		b := start(t, config, analyzer.dial)
		b.batch.packets.Store(10)
		settled := 0
		send := func(wantRequests int) {
			t.Helper()
			before := len(analyzer.received())
			b.Offer(b.packets.some(t, 4))
			settled += 4
			b.settler.await(t, settled)
			if got := len(analyzer.received()) - before; got != wantRequests {
				t.Errorf("4 packets took %d requests, want %d", got, wantRequests)
			}
			synctest.Wait()
		}
		probe := func(health func() reply) {
			t.Helper()
			analyzer.set(func(s *fakeAnalyzer) { s.health = health })
			before := analyzer.probeCount()
			b.settler.until(t, "a probe is sent", func() bool { return analyzer.probeCount() > before })
			synctest.Wait()
		}
		send(4)
		probe(ndjsonHealth)
		send(1)
		probe(func() reply { return status(200, "Accept-Post: application/json\r\n", "") })
		send(4)
		probe(func() reply { return status(200, "Accept-Post: APPLICATION/x-ndjson; charset=utf-8, */*\r\n", "") })
		send(1)
		// A 415 to NDJSON has the effect of not advertising it.
		analyzer.set(func(s *fakeAnalyzer) {
			s.ingest = func(r receivedRequest) reply {
				if r.contentType == ndjsonType {
					return status(415, "", "")
				}
				return ok
			}
		})
		send(5) // the batch and each packet alone
		send(4)
		if b.settler.count("delivered") != settled {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}
