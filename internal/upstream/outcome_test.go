package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The outcome of each response to a single packet, the number of requests, and the metrics.
func TestOutcomes(t *testing.T) {
	huge := strings.Repeat("x", maxBodyBytes+1)
	for _, test := range []struct {
		name     string
		reply    reply
		outcome  string
		requests int
		failure  string // the reason of each request in the metrics
	}{
		{"200", ok, "delivered", 1, ""},
		{"201", status(201, "", ""), "delivered", 1, ""},
		{"202 with a body", status(202, "", `{"status":"accepted"}`), "delivered", 1, ""},
		{"204", say("HTTP/1.1 204 No Content\r\n\r\n"), "delivered", 1, ""},
		{"207 without exceptions", status(207, "", `{"refused":[]}`), "delivered", 1, ""},
		{"207 that rejects the packet", status(207, "", `{"refused":[{"line":1,"code":"malformed"}]}`), "rejected malformed", 1, ""},
		{"207 that throttles the packet", status(207, "", `{"refused":[{"line":1,"code":"overloaded"}]}`), "returned", 1, ""},
		{"207 without a list", status(207, "", `{"status":"partial"}`), "returned", 3, reasonUnreadable},
		{"207 without a body", status(207, "", ""), "returned", 3, reasonUnreadable},
		{"207 of another line", status(207, "", `{"refused":[{"line":2,"code":"malformed"}]}`), "returned", 3, reasonUnreadable},
		{"chunked", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "0\r\n\r\n"), "delivered", 1, ""},
		{"body until the end of the connection", reply{parts: []string{"HTTP/1.1 200 OK\r\n\r\n{}"}, cut: true}, "delivered", 1, ""},
		{"HTTP/1.0", reply{parts: []string{"HTTP/1.0 200 OK\r\n\r\n{}"}, cut: true}, "delivered", 1, ""},
		{"100 Continue first", say("HTTP/1.1 100 Continue\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"103 Early Hints first", say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"several interim responses", say("HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"a huge 200", status(200, "", huge), "delivered", 1, ""},
		{"many headers", status(200, strings.Repeat("X-Some-Header: some value\r\n", 300), ""), "delivered", 1, ""},

		{"400", status(400, "", "{}"), "rejected malformed", 1, ""},
		{"413", status(413, "", ""), "rejected too_large", 1, ""},
		{"415", status(415, "", ""), "rejected unsupported_media_type", 1, ""},
		{"a huge 400", status(400, "", huge), "rejected malformed", 1, ""},
		{"422", status(422, "", ""), "rejected invalid_packet", 1, ""},

		{"429", status(429, "", ""), "returned", 1, reasonThrottled},
		{"429 with Retry-After", status(429, "Retry-After: 2\r\n", ""), "returned", 1, reasonThrottled},
		{"503 with Retry-After", status(503, "Retry-After: 2\r\n", ""), "returned", 1, reasonThrottled},
		{"503 with a date", status(503, "Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n", ""), "returned", 1, reasonThrottled},

		{"503 without Retry-After", status(503, "", ""), "returned", 3, reasonStatus},
		{"301", status(301, "Location: /elsewhere\r\n", ""), "returned", 3, reasonStatus},
		{"304", say("HTTP/1.1 304 Not Modified\r\n\r\n"), "returned", 3, reasonStatus},
		{"404", status(404, "", ""), "returned", 3, reasonStatus},
		{"408", status(408, "", ""), "returned", 3, reasonStatus},
		{"500", status(500, "", "oops"), "returned", 3, reasonStatus},
		{"a huge 500", status(500, "", huge), "returned", 3, reasonStatus},
		{"a huge 207 with an unreadable list", status(207, "", huge), "returned", 3, reasonUnreadable},
		{"a truncated response", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}, cut: true}, "returned", 3, reasonReset},
		{"a truncated header", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Le"}, cut: true}, "returned", 3, reasonReset},
		{"garbage", say("what do you want?\r\n\r\n"), "returned", 3, reasonUnreadable},
		{"an endless header", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n"), "returned", 3, reasonUnreadable},
		{"a close without a response", reply{cut: true}, "returned", 3, reasonReset},
		{"a hang", reply{hang: true}, "returned", 3, reasonTimeout},
		{"an interim response and a hang", reply{parts: []string{"HTTP/1.1 100 Continue\r\n\r\n"}}, "returned", 3, reasonTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.Retries, config.MaxFailures = 2, 100
				analyzer := newFakeAnalyzer(always(test.reply))
				b := start(t, config, analyzer.dial)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				if got := b.settler.outcomeOf(1); got != test.outcome {
					t.Errorf("the packet was %s, want %s", got, test.outcome)
				}
				if got := len(analyzer.received()); got != test.requests {
					t.Errorf("%d requests, want %d", got, test.requests)
				}
				for _, reason := range failureReasons {
					want := 0.0
					if reason == test.failure {
						want = float64(test.requests)
					}
					if got := b.failures(reason); got != want {
						t.Errorf("%v failures for %s, want %v", got, reason, want)
					}
				}
				if got := b.settler.returnedTried(); (got == 1) != (test.outcome == "returned") {
					t.Errorf("%d returned packets are Tried", got)
				}
				if !b.Healthy() {
					t.Error("the analyzer is unhealthy")
				}
			})
		})
	}
}

func TestConnectFailureIsNotRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 3, 100
		analyzer := newFakeAnalyzer(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *fakeAnalyzer) { s.refuseConnections = true })
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		if b.settler.outcomeOf(1) != "returned" || b.failures(reasonConnect) != 1 {
			t.Errorf("a packet that cannot be sent is %s after %v dials, want returned after 1",
				b.settler.outcomeOf(1), b.failures(reasonConnect))
		}
		if b.settler.returnedTried() > 0 {
			t.Error("a packet that was never sent is Tried")
		}
	})
}

// Throttled lines pause the analyzer.
func TestThrottledLinesPauseTheAnalyzer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(status(207, "", `{"refused":[{"line":1,"code":"overloaded"}]}`)))
		analyzer.health = ndjsonHealth
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if capacity, transient := b.Capacity(time.Now()); capacity > 0 || transient {
			t.Error("there is capacity during the pause")
		}
		time.Sleep(defaultPause)
		if capacity, _ := b.Capacity(time.Now()); capacity == 0 {
			t.Error("there is no capacity after the pause")
		}
	})
}

// A batch that is rejected as a whole is bisected to find the rejected packet.
func TestRejectedBatchIsBisected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
			switch {
			case !strings.Contains(r.body, `"packet_id":"3"`):
				return ok
			case r.contentType == ndjsonType:
				return status(400, "", "")
			}
			return status(422, "", "")
		})
		analyzer.health = ndjsonHealth
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 8))
		b.settler.await(t, 8)
		if b.settler.outcomeOf(3) != "rejected invalid_packet" || b.settler.count("delivered") != 7 {
			t.Errorf("outcomes: %v, of the third packet %s", b.settler.summary(), b.settler.outcomeOf(3))
		}
		// One of 8 packets, two of 4, two of 2 and two of 1.
		if got := len(analyzer.received()); got != 7 {
			t.Errorf("%d requests, want 7", got)
		}
		if !b.Healthy() {
			t.Error("rejections count as failures of the analyzer")
		}
	})
}

// An analyzer that asks for a pause during the bisection of a batch gets no more of it.
func TestPauseEndsBisection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
			if strings.Contains(r.body, `"packet_id":"5"`) {
				return status(400, "", "")
			}
			return status(429, "Retry-After: 5\r\n", "")
		})
		analyzer.health = ndjsonHealth
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.received()); got != 2 {
			t.Errorf("%d requests, want 2: the batch and its first half", got)
		}
		if b.settler.count("returned") != 5 {
			t.Errorf("outcomes: %v", b.settler.summary())
		}
	})
}

func TestPauseIsHonored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newFakeAnalyzer(always(status(503, "Retry-After: 3\r\n", "")))
		b := start(t, testConfig(), analyzer.dial)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.received()); got != 1 {
			t.Errorf("%d requests, want 1: waiting packets must not be sent", got)
		}
		if got := b.settler.returnedTried(); got != 1 {
			t.Errorf("%d packets are Tried, want 1", got)
		}
		if !b.Healthy() {
			t.Error("a pause counts as a failure of the analyzer")
		}
		// A packet that is offered during the pause is returned, too.
		b.Offer(b.packets.some(t, 1))
		synctest.Wait()
		if got := b.settler.outcomeOf(6); got != "returned" {
			t.Errorf("a packet offered during the pause was %q", got)
		}
		for range 29 {
			time.Sleep(100 * time.Millisecond)
			if capacity, _ := b.Capacity(time.Now()); capacity > 0 {
				t.Fatal("there is capacity before the end of the pause")
			}
		}
		time.Sleep(200 * time.Millisecond)
		if capacity, transient := b.Capacity(time.Now()); capacity == 0 || !transient {
			t.Error("there is no capacity after the pause")
		}
		if got := len(analyzer.received()); got != 1 {
			t.Errorf("%d requests", got)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		value string
		pause time.Duration
		ok    bool
	}{
		{"", defaultPause, false},
		{"3", 3 * time.Second, true},
		{"0", minPause, true},
		{"-7", minPause, true},
		{"86400", maxPause, true},
		{"99999999999999999999", maxPause, true},
		{"soon", defaultPause, true},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second, true},
		{"Fri, 02 Jan 2026 03:04:00 GMT", minPause, true},
		{"Sun, 06 Nov 2094 08:49:37 GMT", maxPause, true},
	} {
		if pause, ok := retryAfter(test.value, now); pause != test.pause || ok != test.ok {
			t.Errorf("Retry-After %q is %v, %v; want %v, %v", test.value, pause, ok, test.pause, test.ok)
		}
	}
}
