package native

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
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
		{"throttled", `{"refused":[{"line":1,"code":"overloaded"},{"line":3,"code":"draining"}]}`, []string{"throttled", "delivered", "throttled"}},
		{"both", `{"refused":[{"line":3,"code":"overloaded"},{"line":1,"code":"malformed"}]}`, []string{"rejected malformed", "delivered", "throttled"}},
		{"the same twice", `{"refused":[{"line":2,"code":"malformed"},{"line":2,"code":"malformed","detail":"again"}]}`,
			[]string{"delivered", "rejected malformed", "delivered"}},

		{"whole numbers", `{"refused":[{"line":1.0,"code":"malformed"},{"line":20e-1,"code":"too_large"},{"line":0.3E1,"code":"draining"}]}`,
			[]string{"rejected malformed", "rejected too_large", "throttled"}},
		{"no code", `{"refused":[{"line":1},{"line":2,"code":null},{"line":3,"code":""}]}`, []string{"rejected other", "rejected other", "rejected other"}},
		{"codes that are not strings", `{"refused":[{"line":1,"code":{}},{"line":2,"code":["malformed"]},{"line":3,"code":true}]}`,
			[]string{"rejected other", "rejected other", "rejected other"}},
		{"codes that are a status", `{"refused":[{"line":1,"code":422},{"line":2,"code":"413"},{"line":3,"code":503}]}`,
			[]string{"rejected invalid_packet", "rejected too_large", "throttled"}},
		{"codes that are other numbers", `{"refused":[{"line":1,"code":0},{"line":2,"code":4.5e99},{"line":3,"code":500}]}`,
			[]string{"rejected other", "rejected other", "rejected other"}},
		{"details that are not strings", `{"refused":[{"line":2,"code":"malformed","detail":{}},{"line":3,"code":"malformed","detail":null}]}`,
			[]string{"delivered", "rejected malformed", "rejected malformed"}},
		{"more members", `{"refused":[{"LINE":3,"packet_id":7,"line":2,"code":"malformed","x":[{"line":1}]}]}`,
			[]string{"delivered", "rejected malformed", "delivered"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f, analyzer := startBatches(t, always(status(207, "", test.body)))
				result := f.send(t, 3)
				want(t, result, sink.Delivered, "")
				if got := outcomes(result, 3); !slices.Equal(got, test.outcomes) {
					t.Errorf("the packets were %q, want %q", got, test.outcomes)
				}
				if got := analyzer.received(); len(got) != 1 {
					t.Errorf("%d requests, want 1", len(got))
				}
			})
		})
	}
}

// outcomes describes the result of each packet of a delivered request.
func outcomes(r sink.Result, packets int) []string {
	all := slices.Repeat([]string{"delivered"}, packets)
	for _, e := range r.Exceptions {
		if all[e.Packet] = "rejected " + e.Reason; e.Reason == "" {
			all[e.Packet] = "throttled"
		}
	}
	return all
}

func startBatches(t *testing.T, ingest func(receivedRequest) reply) (*fixture, *fakeAnalyzer) {
	t.Helper()
	analyzer := newFakeAnalyzer(ingest)
	analyzer.health = ndjsonHealth
	return startProbed(t, analyzer.dial), analyzer
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
	f, _ := startBatches(t, always(response))
	got := f.send(t, 3)
	want(t, got, sink.Failed, sink.Unreadable)
	if got.Exceptions != nil || got.Unsent {
		t.Errorf("the result is %+v", got)
	}
	if !slices.ContainsFunc([]string{"the ", "there ", "entry ", "it "}, func(start string) bool { return strings.HasPrefix(got.Detail, start) }) {
		t.Errorf("the detail is %q", got.Detail)
	}
}

// The detail of an entry is kept.
func TestDetailsOfRejectedLines(t *testing.T) {
	body := `{"refused":[{"line":1,"detail":"say \u00e9"},{"line":2,"detail":{"rule": 7}},{"line":3,"detail":null},{"line":4}]}`
	got, err := readRejectedLines(response{status: 207, body: []byte(body)}, 4)
	want := []sink.Exception{
		{Packet: 0, Reason: sink.Other, Detail: "say é"}, {Packet: 1, Reason: sink.Other, Detail: `{"rule": 7}`},
		{Packet: 2, Reason: sink.Other}, {Packet: 3, Reason: sink.Other},
	}
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
			if l.Packet < 0 || l.Packet > 2 || seen[l.Packet] {
				t.Fatalf("%q: %+v", body, lines)
			}
			seen[l.Packet] = true
		}
	})
}
