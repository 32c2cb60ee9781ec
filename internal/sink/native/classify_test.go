package native

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// resultCase is a response to a single packet, and the result for the packet.
type resultCase struct {
	name    string
	reply   reply
	outcome sink.Outcome
	reason  string
}

func TestResults(t *testing.T) {
	for _, cases := range [][]resultCase{deliveredCases(), rejectedCases(), throttledCases(), failedCases()} {
		for _, test := range cases {
			t.Run(test.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) { checkResult(t, test) })
			})
		}
	}
}

func checkResult(t *testing.T, test resultCase) {
	t.Helper()
	analyzer := newFakeAnalyzer(always(test.reply))
	got := start(t, testURL(t), analyzer.dial).send(t, 1)
	want(t, got, test.outcome, test.reason)
	if got.Unsent || got.Lost != "" || got.ProbeSoon {
		t.Errorf("the result is %+v", got)
	}
	if (got.Pause > 0) != (test.outcome == sink.Throttled || strings.HasPrefix(test.name, "207 ") && test.outcome == sink.Delivered) {
		t.Errorf("the pause is %v", got.Pause)
	}
	if got := len(analyzer.received()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// deliveredCases have the statuses 2xx, also those whose list of exceptions cannot be read.
func deliveredCases() []resultCase {
	huge := strings.Repeat("x", maxBodyBytes+1)
	return []resultCase{
		{"200", ok, sink.Delivered, ""},
		{"201", status(201, "", ""), sink.Delivered, ""},
		{"202 with a body", status(202, "", `{"status":"accepted"}`), sink.Delivered, ""},
		{"204", say("HTTP/1.1 204 No Content\r\n\r\n"), sink.Delivered, ""},
		{"207 without exceptions", status(207, "", `{"refused":[]}`), sink.Delivered, ""},
		{"207 that rejects the packet", status(207, "", `{"refused":[{"line":1,"code":"malformed"}]}`), sink.Delivered, ""},
		{"207 that throttles the packet", status(207, "", `{"refused":[{"line":1,"code":"overloaded"}]}`), sink.Delivered, ""},
		{"207 without a list", status(207, "", `{"status":"partial"}`), sink.Failed, sink.Unreadable},
		{"207 without a body", status(207, "", ""), sink.Failed, sink.Unreadable},
		{"207 of another line", status(207, "", `{"refused":[{"line":2,"code":"malformed"}]}`), sink.Failed, sink.Unreadable},
		{"chunked", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "0\r\n\r\n"), sink.Delivered, ""},
		{"body until the end of the connection", reply{parts: []string{"HTTP/1.1 200 OK\r\n\r\n{}"}, cut: true}, sink.Delivered, ""},
		{"HTTP/1.0", reply{parts: []string{"HTTP/1.0 200 OK\r\n\r\n{}"}, cut: true}, sink.Delivered, ""},
		{"100 Continue first", say("HTTP/1.1 100 Continue\r\n\r\n", ok.parts[0]), sink.Delivered, ""},
		{"103 Early Hints first", say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ok.parts[0]), sink.Delivered, ""},
		{"several interim responses", say("HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", ok.parts[0]), sink.Delivered, ""},
		{"a huge 200", status(200, "", huge), sink.Delivered, ""},
		{"many headers", status(200, strings.Repeat("X-Some-Header: some value\r\n", 300), ""), sink.Delivered, ""},
	}
}

// rejectedCases have the statuses that reject a packet for good.
func rejectedCases() []resultCase {
	huge := strings.Repeat("x", maxBodyBytes+1)
	return []resultCase{
		{"400", status(400, "", "{}"), sink.Rejected, "malformed"},
		{"413", status(413, "", ""), sink.Rejected, "too_large"},
		{"415", status(415, "", ""), sink.Rejected, "unsupported_media_type"},
		{"a huge 400", status(400, "", huge), sink.Rejected, "malformed"},
		{"422", status(422, "", ""), sink.Rejected, "invalid_packet"},
	}
}

// throttledCases have the statuses that ask for a pause.
func throttledCases() []resultCase {
	return []resultCase{
		{"429", status(429, "", ""), sink.Throttled, sink.NotNow},
		{"429 with Retry-After", status(429, "Retry-After: 2\r\n", ""), sink.Throttled, sink.NotNow},
		{"503 with Retry-After", status(503, "Retry-After: 2\r\n", ""), sink.Throttled, sink.NotNow},
		{"503 with a date", status(503, "Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n", ""), sink.Throttled, sink.NotNow},
	}
}

// failedCases have statuses that are failures of the analyzer, and responses that cannot be read.
func failedCases() []resultCase {
	huge := strings.Repeat("x", maxBodyBytes+1)
	return []resultCase{
		{"503 without Retry-After", status(503, "", ""), sink.Failed, sink.Status},
		{"301", status(301, "Location: /elsewhere\r\n", ""), sink.Failed, sink.Status},
		{"304", say("HTTP/1.1 304 Not Modified\r\n\r\n"), sink.Failed, sink.Status},
		{"404", status(404, "", ""), sink.Failed, sink.Status},
		{"408", status(408, "", ""), sink.Failed, sink.Status},
		{"500", status(500, "", "oops"), sink.Failed, sink.Status},
		{"a huge 500", status(500, "", huge), sink.Failed, sink.Status},
		{"a huge 207 with an unreadable list", status(207, "", huge), sink.Failed, sink.Unreadable},
		{"a truncated response", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}, cut: true}, sink.Failed, sink.Reset},
		{"a truncated header", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Le"}, cut: true}, sink.Failed, sink.Reset},
		{"garbage", say("what do you want?\r\n\r\n"), sink.Failed, sink.Unreadable},
		{"an endless header", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n"), sink.Failed, sink.Unreadable},
		{"a close without a response", reply{cut: true}, sink.Failed, sink.Reset},
		{"a hang", reply{hang: true}, sink.Failed, sink.Timeout},
		{"an interim response and a hang", reply{parts: []string{"HTTP/1.1 100 Continue\r\n\r\n"}}, sink.Failed, sink.Timeout},
	}
}

// The text of a response is its detail.
func TestDetail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, testURL(t), newFakeAnalyzer(always(status(500, "", "no"))).dial)
		if got := f.send(t, 1); got.Detail != `answered 500 "no"` {
			t.Errorf("the detail is %s", got.Detail)
		}
	})
}

// A request that could not be written is unsent.
func TestConnectFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(ok))
		analyzer.refuseConnections = true
		f := start(t, testURL(t), analyzer.dial)
		got := f.send(t, 1)
		want(t, got, sink.Failed, sink.Connect)
		if !got.Unsent {
			t.Error("the packet counts as sent")
		}
		want(t, f.probeOnce(t), sink.Failed, sink.Connect)
	})
}

// Of a probe, the reason tells whether the analyzer is gone or slow.
func TestProbeResults(t *testing.T) {
	for _, test := range []struct {
		name   string
		reply  reply
		reason string
	}{
		{"a success", ok, ""},
		{"no content", say("HTTP/1.1 204 No Content\r\n\r\n"), ""},
		{"a failure", status(500, "", ""), sink.Status},
		{"a pause", status(429, "", ""), sink.Status},
		{"a hang", reply{hang: true}, sink.Timeout},
		{"a reset", reply{cut: true}, sink.Reset},
		{"truncated", reply{parts: []string{"HTTP/1.1 200 OK\r\n"}, cut: true}, sink.Reset},
		{"garbage", say("what do you want?\r\n\r\n"), sink.Unreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				analyzer := newFakeAnalyzer(nil)
				analyzer.health = func() reply { return test.reply }
				outcome := sink.Failed
				if test.reason == "" {
					outcome = sink.Delivered
				}
				want(t, start(t, testURL(t), analyzer.dial).probeOnce(t), outcome, test.reason)
			})
		})
	}
	t.Run("a dial that hangs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			f := start(t, testURL(t), hang)
			want(t, f.probeOnce(t), sink.Failed, sink.Timeout)
			want(t, f.send(t, 1), sink.Failed, sink.Connect)
		})
	})
}
