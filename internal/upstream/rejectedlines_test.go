package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A batch with a 207 is delivered except the packets that are listed.
func TestPartialResponses(t *testing.T) {
	for _, test := range []struct {
		name, body string
		outcomes   []string
	}{
		{"none", `{"refused":[]}`, []string{"delivered", "delivered", "delivered"}},
		{"none, with more members", ` {"status":"partial","accepted":3,"refused" : [ ] ,"Refused":7,"x":{"refused":[{"line":1}]}} `,
			[]string{"delivered", "delivered", "delivered"}},
		{"permanently", `{"refused":[{"line":2,"code":"invalid_packet"}]}`, []string{"delivered", "rejected invalid_packet", "delivered"}},
		{"each reason", `{"refused":[{"line":1,"code":"malformed"},{"line":2,"code":"too_large"},{"line":3,"code":"unsupported_media_type"}]}`,
			[]string{"rejected malformed", "rejected too_large", "rejected unsupported_media_type"}},
		{"unknown reason", `{"refused":[{"line":3,"code":"bad moon"}]}`, []string{"delivered", "delivered", "rejected other"}},
		{"throttled", `{"refused":[{"line":1,"code":"overloaded"},{"line":3,"code":"draining"}]}`, []string{"returned", "delivered", "returned"}},
		{"both", `{"refused":[{"line":3,"code":"overloaded"},{"line":1,"code":"malformed"}]}`, []string{"rejected malformed", "delivered", "returned"}},
		{"the same twice", `{"refused":[{"line":2,"code":"malformed"},{"line":2,"code":"malformed","detail":"again"}]}`,
			[]string{"delivered", "rejected malformed", "delivered"}},

		{"whole numbers", `{"refused":[{"line":1.0,"code":"malformed"},{"line":20e-1,"code":"too_large"},{"line":0.3E1,"code":"draining"}]}`,
			[]string{"rejected malformed", "rejected too_large", "returned"}},
		{"no code", `{"refused":[{"line":1},{"line":2,"code":null},{"line":3,"code":""}]}`, []string{"rejected other", "rejected other", "rejected other"}},
		{"codes that are not strings", `{"refused":[{"line":1,"code":{}},{"line":2,"code":["malformed"]},{"line":3,"code":true}]}`,
			[]string{"rejected other", "rejected other", "rejected other"}},
		{"codes that are a status", `{"refused":[{"line":1,"code":422},{"line":2,"code":"413"},{"line":3,"code":503}]}`,
			[]string{"rejected invalid_packet", "rejected too_large", "returned"}},
		{"codes that are other numbers", `{"refused":[{"line":1,"code":0},{"line":2,"code":4.5e99},{"line":3,"code":500}]}`,
			[]string{"rejected other", "rejected other", "rejected other"}},
		{"details that are not strings", `{"refused":[{"line":2,"code":"malformed","detail":{}},{"line":3,"code":"malformed","detail":null}]}`,
			[]string{"delivered", "rejected malformed", "rejected malformed"}},
		{"more members", `{"refused":[{"LINE":3,"packet_id":7,"line":2,"code":"malformed","x":[{"line":1}]}]}`,
			[]string{"delivered", "rejected malformed", "delivered"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatches(t, always(status(207, "", test.body)))
				b.Offer(b.packets.some(t, 3))
				b.settler.await(t, 3)
				for i, want := range test.outcomes {
					if got := b.settler.outcomeOf(uint64(i + 1)); got != want {
						t.Errorf("line %d was %s, want %s", i+1, got, want)
					}
				}
				if got := analyzer.received(); len(got) != 1 {
					t.Errorf("%d requests, want 1", len(got))
				}
				if !b.Healthy() || b.failures(reasonUnreadable) != 0 {
					t.Error("the response counts as a failure")
				}
			})
		})
	}
}

func startBatches(t *testing.T, ingest func(receivedRequest) reply) (*fixture, *fakeAnalyzer) {
	t.Helper()
	analyzer := newFakeAnalyzer(ingest)
	analyzer.health = ndjsonHealth
	config := testConfig()
	config.Retries = 0
	b := start(t, config, analyzer.dial)
	b.batch.packets.Store(10)
	return b, analyzer
}

// unreadableLists are bodies of a 207 to three packets that could reject any of them.
var unreadableLists = map[string]string{
	"nothing":               ``,
	"space":                 ` `,
	"null":                  `null`,
	"text":                  `all of them`,
	"XML":                   `<multistatus><status>422</status></multistatus>`,
	"a number":              `207`,
	"an array":              `[]`,
	"an array of entries":   `[{"line":1,"code":"malformed"}]`,
	"no list":               `{}`,
	"another list":          `{"errors":[{"line":1,"code":"malformed"}]}`,
	"other letters":         `{"Refused":[{"line":1,"code":"malformed"}]}`,
	"list is null":          `{"refused":null}`,
	"list is an object":     `{"refused":{"line":1,"code":"malformed"}}`,
	"list is text":          `{"refused":"1"}`,
	"list is a number":      `{"refused":1}`,
	"two lists":             `{"refused":[],"refused":[{"line":1,"code":"malformed"}]}`,
	"two lists, one null":   `{"refused":null,"refused":[]}`,
	"cut in the list":       `{"refused":[{"line":1,"code":"malformed"},{"li`,
	"cut behind an entry":   `{"refused":[{"line":1,"code":"malformed"}`,
	"cut behind the list":   `{"refused":[{"line":1,"code":"malformed"}]`,
	"something behind it":   `{"refused":[]}{"refused":[{"line":1}]}`,
	"a byte order mark":     "\ufeff" + `{"refused":[]}`,
	"a comma too many":      `{"refused":[{"line":1,"code":"malformed"},]}`,
	"too deep":              `{"refused":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
	"entry is null":         `{"refused":[null]}`,
	"entry is a number":     `{"refused":[1]}`,
	"entry is an array":     `{"refused":[[1,"malformed"]]}`,
	"entry is empty":        `{"refused":[{}]}`,
	"line is missing":       `{"refused":[{"code":"malformed"}]}`,
	"line is text":          `{"refused":[{"line":"1","code":"malformed"}]}`,
	"line is null":          `{"refused":[{"line":null,"code":"malformed"}]}`,
	"line is true":          `{"refused":[{"line":true,"code":"malformed"}]}`,
	"line is an array":      `{"refused":[{"line":[1],"code":"malformed"}]}`,
	"line is a part":        `{"refused":[{"line":1.5,"code":"malformed"}]}`,
	"line is nearly whole":  `{"refused":[{"line":1.00000000000000000001,"code":"malformed"}]}`,
	"line is of many zeros": `{"refused":[{"line":1.` + strings.Repeat("0", 100) + `,"code":"malformed"}]}`,
	"line 0":                `{"refused":[{"line":0,"code":"malformed"}]}`,
	"line -0":               `{"refused":[{"line":-0,"code":"malformed"}]}`,
	"line -1":               `{"refused":[{"line":-1,"code":"malformed"}]}`,
	"line 4":                `{"refused":[{"line":4,"code":"malformed"}]}`,
	"line 2^64+1":           `{"refused":[{"line":18446744073709551617,"code":"malformed"}]}`,
	"line 1e999999999":      `{"refused":[{"line":1e999999999,"code":"malformed"}]}`,
	"line 1e-999999999":     `{"refused":[{"line":1e-999999999,"code":"malformed"}]}`,
	"two lines":             `{"refused":[{"line":1,"line":2,"code":"malformed"}]}`,
	"two codes":             `{"refused":[{"line":1,"code":"malformed","code":"overloaded"}]}`,
	"for good and for now":  `{"refused":[{"line":2,"code":"overloaded"},{"line":2,"code":"malformed"}]}`,
	"a bad one in between":  `{"refused":[{"line":1,"code":"malformed"},{"line":"2","code":"malformed"},{"line":3,"code":"malformed"}]}`,
	"a good one in front":   `{"refused":[{"line":2,"code":"malformed"},{"code":"malformed"}]}`,
	"too large":             `{"refused":[` + strings.Repeat(" ", maxBodyBytes) + `]}`,
}

// An unreadable 207 is a failure of its request: no packet is delivered or permanently
// rejected.
func TestUnreadablePartialResponses(t *testing.T) {
	for name, body := range unreadableLists {
		for kind, response := range map[string]reply{
			"":               status(207, "", body),
			" in chunks":     say("HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) + "0\r\n\r\n"),
			" until the end": {parts: []string{"HTTP/1.1 207 X\r\n\r\n" + body}, cut: true},
		} {
			t.Run(name+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) { wantUnreadable(t, response) })
			})
		}
	}
	t.Run("in a coding", func(t *testing.T) {
		bubble(t, func(t *testing.T) { wantUnreadable(t, status(207, "Content-Encoding: gzip\r\n", `{"refused":[]}`)) })
	})
}

func chunk(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
}

func wantUnreadable(t *testing.T, response reply) {
	t.Helper()
	b, _ := startBatches(t, always(response))
	b.Offer(b.packets.some(t, 3))
	b.settler.await(t, 3)
	if b.settler.count("returned") != 3 {
		t.Errorf("the packets were %v, want all of them returned", b.settler.summary())
	}
	if b.failures(reasonUnreadable) != 1 {
		t.Errorf("it counts as %v failures", b.failures(reasonUnreadable))
	}
	trouble := b.settler.troubleOf(1)
	if trouble == nil || trouble.Attempts != 1 || !strings.HasPrefix(trouble.Cause, "the ") && !strings.HasPrefix(trouble.Cause, "there ") && !strings.HasPrefix(trouble.Cause, "entry ") && !strings.HasPrefix(trouble.Cause, "it ") {
		t.Errorf("recorded: %+v", trouble)
	}
}

// An analyzer with an unreadable list still gets the packets that it accepts: bisection
// leaves the rejected packet as the one that fails.
func TestUnreadablePartialResponseIsBisected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
			if strings.Contains(r.body, `"packet_id":"3"`) {
				return status(207, "", `{"refused":[{"line":"1","code":"malformed"}]}`)
			}
			return ok
		})
		analyzer.health = ndjsonHealth
		config := testConfig()
		config.Retries, config.MaxFailures = 5, 100
		b := start(t, config, analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 8))
		b.settler.await(t, 8)
		if b.settler.outcomeOf(3) != "returned" || b.settler.count("delivered") != 7 {
			t.Errorf("outcomes: %v, of the third packet %s", b.settler.summary(), b.settler.outcomeOf(3))
		}
	})
}

// A batch of which no packet was accepted is no sign that the analyzer works.
func TestRejectionsAreNoDeliveries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _ := startBatches(t, always(status(207, "", `{"refused":[{"line":1,"code":"malformed"},{"line":2,"code":"malformed"}]}`)))
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if b.settler.count("rejected malformed") != 2 || b.lastDelivered.Load() != 0 {
			t.Errorf("outcomes: %v, last delivery at %d", b.settler.summary(), b.lastDelivered.Load())
		}
	})
}

// The detail of an entry is kept.
func TestDetailsOfRejectedLines(t *testing.T) {
	body := `{"refused":[{"line":1,"detail":"say \u00e9"},{"line":2,"detail":{"rule": 7}},{"line":3,"detail":null},{"line":4}]}`
	got, err := readRejectedLines(response{status: 207, body: []byte(body)}, 4)
	want := []rejectedLine{{1, rejectedOther, "say é"}, {2, rejectedOther, `{"rule": 7}`}, {3, rejectedOther, ""}, {4, rejectedOther, ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v: %v; want %+v", got, err, want)
	}
}

// A list is parsed as a whole or not at all.
func FuzzRejectedLines(f *testing.F) {
	for _, body := range unreadableLists {
		f.Add([]byte(body[:min(len(body), 1000)]))
	}
	f.Add([]byte(`{"refused":[{"line":1.0,"code":422,"detail":{}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, err := readRejectedLines(response{status: 207, body: body}, 3)
		if err != nil && lines != nil {
			t.Fatalf("%q: both %+v and %v", body, lines, err)
		}
		seen := make(map[int]bool)
		for _, l := range lines {
			if l.number < 1 || l.number > 3 || seen[l.number] {
				t.Fatalf("%q: %+v", body, lines)
			}
			seen[l.number] = true
		}
	})
}
