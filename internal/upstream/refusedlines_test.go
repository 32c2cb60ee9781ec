package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A batch that is answered with 207 is taken but for the lines that are listed.
func TestAnswersToLines(t *testing.T) {
	for _, test := range []struct {
		name, body string
		fates      []string
	}{
		{"none", `{"refused":[]}`, []string{"delivered", "delivered", "delivered"}},
		{"none, with more members", ` {"status":"partial","accepted":3,"refused" : [ ] ,"Refused":7,"x":{"refused":[{"line":1}]}} `,
			[]string{"delivered", "delivered", "delivered"}},
		{"for good", `{"refused":[{"line":2,"code":"invalid_packet"}]}`, []string{"delivered", "refused invalid_packet", "delivered"}},
		{"each reason", `{"refused":[{"line":1,"code":"malformed"},{"line":2,"code":"too_large"},{"line":3,"code":"unsupported_media_type"}]}`,
			[]string{"refused malformed", "refused too_large", "refused unsupported_media_type"}},
		{"unknown reason", `{"refused":[{"line":3,"code":"bad moon"}]}`, []string{"delivered", "delivered", "refused other"}},
		{"for now", `{"refused":[{"line":1,"code":"overloaded"},{"line":3,"code":"draining"}]}`, []string{"returned", "delivered", "returned"}},
		{"both", `{"refused":[{"line":3,"code":"overloaded"},{"line":1,"code":"malformed"}]}`, []string{"refused malformed", "delivered", "returned"}},
		{"the same twice", `{"refused":[{"line":2,"code":"malformed"},{"line":2,"code":"malformed","detail":"again"}]}`,
			[]string{"delivered", "refused malformed", "delivered"}},

		{"whole numbers", `{"refused":[{"line":1.0,"code":"malformed"},{"line":20e-1,"code":"too_large"},{"line":0.3E1,"code":"draining"}]}`,
			[]string{"refused malformed", "refused too_large", "returned"}},
		{"no code", `{"refused":[{"line":1},{"line":2,"code":null},{"line":3,"code":""}]}`, []string{"refused other", "refused other", "refused other"}},
		{"codes that are no text", `{"refused":[{"line":1,"code":{}},{"line":2,"code":["malformed"]},{"line":3,"code":true}]}`,
			[]string{"refused other", "refused other", "refused other"}},
		{"codes that are a status", `{"refused":[{"line":1,"code":422},{"line":2,"code":"413"},{"line":3,"code":503}]}`,
			[]string{"refused invalid_packet", "refused too_large", "returned"}},
		{"codes that are other numbers", `{"refused":[{"line":1,"code":0},{"line":2,"code":4.5e99},{"line":3,"code":500}]}`,
			[]string{"refused other", "refused other", "refused other"}},
		{"details that are no text", `{"refused":[{"line":2,"code":"malformed","detail":{}},{"line":3,"code":"malformed","detail":null}]}`,
			[]string{"delivered", "refused malformed", "refused malformed"}},
		{"more members", `{"refused":[{"LINE":3,"packet_id":7,"line":2,"code":"malformed","x":[{"line":1}]}]}`,
			[]string{"delivered", "refused malformed", "delivered"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, analyzer := startBatches(t, always(status(207, "", test.body)))
				b.Offer(b.packets.some(t, 3))
				b.settler.await(t, 3)
				for i, want := range test.fates {
					if got := b.settler.fate(uint64(i + 1)); got != want {
						t.Errorf("line %d was %s, want %s", i+1, got, want)
					}
				}
				if got := analyzer.got(); len(got) != 1 {
					t.Errorf("%d requests, want 1", len(got))
				}
				if !b.Healthy() || b.failures(reasonUnreadable) != 0 {
					t.Error("the answer counts as a failure")
				}
			})
		})
	}
}

func startBatches(t *testing.T, ingest func(seen) reply) (*bench, *scripted) {
	t.Helper()
	analyzer := newScripted(ingest)
	analyzer.health = lines
	config := testConfig()
	config.Retries = 0
	b := start(t, config, analyzer.dial)
	b.batch.packets.Store(10)
	return b, analyzer
}

// unreadable are bodies of a 207 to three packets that might have refused any of them.
var unreadable = map[string]string{
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
	"too large":             `{"refused":[` + strings.Repeat(" ", largestAnswerBytes) + `]}`,
}

// A 207 that cannot be read is a failure of its request: nothing is delivered by it, and
// nothing refused for good.
func TestUnreadablePartialAnswers(t *testing.T) {
	for name, body := range unreadable {
		for kind, answer := range map[string]reply{
			"":               status(207, "", body),
			" in chunks":     say("HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) + "0\r\n\r\n"),
			" until the end": {parts: []string{"HTTP/1.1 207 X\r\n\r\n" + body}, cut: true},
		} {
			t.Run(name+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) { wantFailure(t, answer) })
			})
		}
	}
	t.Run("in a coding", func(t *testing.T) {
		bubble(t, func(t *testing.T) { wantFailure(t, status(207, "Content-Encoding: gzip\r\n", `{"refused":[]}`)) })
	})
}

func chunk(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
}

func wantFailure(t *testing.T, answer reply) {
	t.Helper()
	b, _ := startBatches(t, always(answer))
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
		t.Errorf("its trouble is %+v", trouble)
	}
}

// An analyzer that lists what it refuses in a way of its own still gets what it takes:
// halves find it, and the packet that it refuses is the one that fails.
func TestUnreadablePartialAnswerIsSentInHalves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(func(r seen) reply {
			if strings.Contains(r.body, `"packet_id":"3"`) {
				return status(207, "", `{"refused":[{"line":"1","code":"malformed"}]}`)
			}
			return ok
		})
		analyzer.health = lines
		config := testConfig()
		config.Retries, config.MaxFailures = 5, 100
		b := start(t, config, analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 8))
		b.settler.await(t, 8)
		if b.settler.fate(3) != "returned" || b.settler.count("delivered") != 7 {
			t.Errorf("fates: %v, of the third packet %s", b.settler.summary(), b.settler.fate(3))
		}
	})
}

// A batch none of which was taken is no sign that the analyzer works.
func TestRefusalsAreNoDeliveries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _ := startBatches(t, always(status(207, "", `{"refused":[{"line":1,"code":"malformed"},{"line":2,"code":"malformed"}]}`)))
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if b.settler.count("refused malformed") != 2 || b.latestTaken.Load() != 0 {
			t.Errorf("fates: %v, taken at %d", b.settler.summary(), b.latestTaken.Load())
		}
	})
}

// The answer's detail reaches those who look for a reason.
func TestDetailsOfRefusedLines(t *testing.T) {
	body := `{"refused":[{"line":1,"detail":"say \u00e9"},{"line":2,"detail":{"rule": 7}},{"line":3,"detail":null},{"line":4}]}`
	got, err := readRefusedLines(response{status: 207, body: []byte(body)}, 4)
	want := []refusedLine{{1, refusedOther, "say é"}, {2, refusedOther, `{"rule": 7}`}, {3, refusedOther, ""}, {4, refusedOther, ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v: %v; want %+v", got, err, want)
	}
}

// Whatever a list says, it is understood as a whole or not at all.
func FuzzRefusedLines(f *testing.F) {
	for _, body := range unreadable {
		f.Add([]byte(body[:min(len(body), 1000)]))
	}
	f.Add([]byte(`{"refused":[{"line":1.0,"code":422,"detail":{}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, err := readRefusedLines(response{status: 207, body: body}, 3)
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
