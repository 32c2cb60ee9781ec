package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What each answer to a single packet means: how the packet ends, after how
// many requests, and what is counted.
func TestAnswers(t *testing.T) {
	huge := strings.Repeat("x", largestAnswerBytes+1)
	for _, test := range []struct {
		name     string
		reply    reply
		fate     string
		requests int
		failure  string // the reason that each request counts under
	}{
		{"200", ok, "delivered", 1, ""},
		{"201", status(201, "", ""), "delivered", 1, ""},
		{"202 with a body", status(202, "", `{"status":"accepted"}`), "delivered", 1, ""},
		{"204", say("HTTP/1.1 204 No Content\r\n\r\n"), "delivered", 1, ""},
		{"207 without exceptions", status(207, "", `{"refused":[]}`), "delivered", 1, ""},
		{"207 that refuses the packet", status(207, "", `{"refused":[{"line":1,"code":"malformed"}]}`), "refused malformed", 1, ""},
		{"207 that does not take it now", status(207, "", `{"refused":[{"line":1,"code":"overloaded"}]}`), "returned", 1, ""},
		{"207 without a list", status(207, "", `{"status":"partial"}`), "returned", 3, reasonUnreadable},
		{"207 without a body", status(207, "", ""), "returned", 3, reasonUnreadable},
		{"207 of another line", status(207, "", `{"refused":[{"line":2,"code":"malformed"}]}`), "returned", 3, reasonUnreadable},
		{"chunked", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "0\r\n\r\n"), "delivered", 1, ""},
		{"body until the end of the connection", reply{parts: []string{"HTTP/1.1 200 OK\r\n\r\n{}"}, cut: true}, "delivered", 1, ""},
		{"HTTP/1.0", reply{parts: []string{"HTTP/1.0 200 OK\r\n\r\n{}"}, cut: true}, "delivered", 1, ""},
		{"continue first", say("HTTP/1.1 100 Continue\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"early hints first", say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"several interim answers", say("HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", ok.parts[0]), "delivered", 1, ""},
		{"a huge 200", status(200, "", huge), "delivered", 1, ""},
		{"many headers", status(200, strings.Repeat("X-Some-Header: some value\r\n", 300), ""), "delivered", 1, ""},

		{"400", status(400, "", "{}"), "refused malformed", 1, ""},
		{"413", status(413, "", ""), "refused too_large", 1, ""},
		{"415", status(415, "", ""), "refused unsupported_media_type", 1, ""},
		{"a huge 400", status(400, "", huge), "refused malformed", 1, ""},
		{"422", status(422, "", ""), "refused invalid_packet", 1, ""},

		{"429", status(429, "", ""), "returned", 1, reasonNotNow},
		{"429 with a time", status(429, "Retry-After: 2\r\n", ""), "returned", 1, reasonNotNow},
		{"503 with a time", status(503, "Retry-After: 2\r\n", ""), "returned", 1, reasonNotNow},
		{"503 with a date", status(503, "Retry-After: Sun, 06 Nov 2094 08:49:37 GMT\r\n", ""), "returned", 1, reasonNotNow},

		{"503 without a time", status(503, "", ""), "returned", 3, reasonStatus},
		{"301", status(301, "Location: /elsewhere\r\n", ""), "returned", 3, reasonStatus},
		{"304", say("HTTP/1.1 304 Not Modified\r\n\r\n"), "returned", 3, reasonStatus},
		{"404", status(404, "", ""), "returned", 3, reasonStatus},
		{"408", status(408, "", ""), "returned", 3, reasonStatus},
		{"500", status(500, "", "oops"), "returned", 3, reasonStatus},
		{"a huge 500", status(500, "", huge), "returned", 3, reasonStatus},
		{"a huge 207, whose list cannot be read", status(207, "", huge), "returned", 3, reasonUnreadable},
		{"a cut answer", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}, cut: true}, "returned", 3, reasonReset},
		{"a cut header", reply{parts: []string{"HTTP/1.1 200 OK\r\nContent-Le"}, cut: true}, "returned", 3, reasonReset},
		{"garbage", say("what do you want?\r\n\r\n"), "returned", 3, reasonUnreadable},
		{"an endless header", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", largestHeaderBytes) + "\r\n\r\n"), "returned", 3, reasonUnreadable},
		{"nothing, and the end", reply{cut: true}, "returned", 3, reasonReset},
		{"a hang", reply{hang: true}, "returned", 3, reasonTimeout},
		{"interim answers and a hang", reply{parts: []string{"HTTP/1.1 100 Continue\r\n\r\n"}}, "returned", 3, reasonTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				config := testConfig()
				config.Retries, config.MaxFailures = 2, 100
				analyzer := newScripted(always(test.reply))
				b := start(t, config, analyzer.dial)
				b.Offer(b.packets.some(t, 1))
				b.settler.await(t, 1)
				if got := b.settler.fate(1); got != test.fate {
					t.Errorf("the packet was %s, want %s", got, test.fate)
				}
				if got := len(analyzer.got()); got != test.requests {
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
				if got := b.settler.seen(); (got == 1) != (test.fate == "returned") {
					t.Errorf("%d returned packets count as tried", got)
				}
				if !b.Healthy() {
					t.Error("the analyzer is thought unhealthy")
				}
			})
		})
	}
}

func TestUnknownAnalyzerIsNotSentTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		config := testConfig()
		config.Retries, config.MaxFailures = 3, 100
		analyzer := newScripted(always(ok))
		b := start(t, config, analyzer.dial)
		analyzer.set(func(s *scripted) { s.refuses = true })
		b.Offer(b.packets.some(t, 1))
		b.settler.await(t, 1)
		if b.settler.fate(1) != "returned" || b.failures(reasonConnect) != 1 {
			t.Errorf("a packet that cannot be sent is %s after %v tries; it should go elsewhere after one",
				b.settler.fate(1), b.failures(reasonConnect))
		}
		if b.settler.seen() > 0 {
			t.Error("a packet that was never sent counts as tried")
		}
	})
}

// An analyzer that takes some lines "not now" is left alone for a while.
func TestLinesForNowAskForAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(status(207, "", `{"refused":[{"line":1,"code":"overloaded"}]}`)))
		analyzer.health = lines
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 2))
		b.settler.await(t, 2)
		if room, brief := b.Capacity(time.Now()); room > 0 || brief {
			t.Error("packets may be bound to it at once")
		}
		time.Sleep(defaultPause)
		if room, _ := b.Capacity(time.Now()); room == 0 {
			t.Error("the pause does not end")
		}
	})
}

// Of a batch that is refused as a whole nobody knows which packet is meant:
// halves find it.
func TestRefusedBatchIsSentInHalves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(func(r seen) reply {
			switch {
			case !strings.Contains(r.body, `"packet_id":"3"`):
				return ok
			case r.contentType == ndjsonType:
				return status(400, "", "")
			}
			return status(422, "", "")
		})
		analyzer.health = lines
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 8))
		b.settler.await(t, 8)
		if b.settler.fate(3) != "refused invalid_packet" || b.settler.count("delivered") != 7 {
			t.Errorf("fates: %v, of the third packet %s", b.settler.summary(), b.settler.fate(3))
		}
		// Eight packets; four and four; then two and two, and one and one, of those with the third.
		if got := len(analyzer.got()); got != 7 {
			t.Errorf("%d requests, want 7", got)
		}
		if !b.Healthy() {
			t.Error("refusals are held against the analyzer")
		}
	})
}

// An analyzer that asks for a pause while a refused batch is sent in halves gets
// no more of it.
func TestPauseEndsSendingHalves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(func(r seen) reply {
			if strings.Contains(r.body, `"packet_id":"5"`) {
				return status(400, "", "")
			}
			return status(429, "Retry-After: 5\r\n", "")
		})
		analyzer.health = lines
		b := start(t, testConfig(), analyzer.dial)
		b.batch.packets.Store(10)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.got()); got != 2 {
			t.Errorf("%d requests, want the batch and its first half", got)
		}
		if b.settler.count("returned") != 5 {
			t.Errorf("fates: %v", b.settler.summary())
		}
	})
}

func TestPauseIsHonoured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		analyzer := newScripted(always(status(503, "Retry-After: 3\r\n", "")))
		b := start(t, testConfig(), analyzer.dial)
		b.Offer(b.packets.some(t, 5))
		b.settler.await(t, 5)
		if got := len(analyzer.got()); got != 1 {
			t.Errorf("%d requests: those that waited behind the first should not be sent", got)
		}
		if got := b.settler.seen(); got != 1 {
			t.Errorf("%d packets count as tried, want the one that was sent", got)
		}
		if !b.Healthy() {
			t.Error("a pause is held against the analyzer")
		}
		// A packet that was routed before the pause was known comes back too.
		b.Offer(b.packets.some(t, 1))
		synctest.Wait()
		if got := b.settler.fate(6); got != "returned" {
			t.Errorf("a packet offered in the pause was %q", got)
		}
		for range 29 {
			time.Sleep(100 * time.Millisecond)
			if room, _ := b.Capacity(time.Now()); room > 0 {
				t.Fatal("there is room before the pause is over")
			}
		}
		time.Sleep(200 * time.Millisecond)
		if room, brief := b.Capacity(time.Now()); room == 0 || !brief {
			t.Error("there is no room after the pause")
		}
		if got := len(analyzer.got()); got != 1 {
			t.Errorf("%d requests", got)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		value string
		pause time.Duration
		asked bool
	}{
		{"", defaultPause, false},
		{"3", 3 * time.Second, true},
		{"0", shortestPause, true},
		{"-7", shortestPause, true},
		{"86400", longestPause, true},
		{"99999999999999999999", longestPause, true},
		{"soon", defaultPause, true},
		{"Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second, true},
		{"Fri, 02 Jan 2026 03:04:00 GMT", shortestPause, true},
		{"Sun, 06 Nov 2094 08:49:37 GMT", longestPause, true},
	} {
		if pause, asked := retryAfter(test.value, now); pause != test.pause || asked != test.asked {
			t.Errorf("Retry-After %q is %v, %v; want %v, %v", test.value, pause, asked, test.pause, test.asked)
		}
	}
}
