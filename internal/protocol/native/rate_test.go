package native

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/server"
)

func limited(rate, burst float64) options {
	o := standard()
	o.change = func(d *intake.Dependencies) { d.Limiter = ratelimit.New(ratelimit.Config{Rate: rate, Burst: burst}) }
	return o
}

// sent is a packet that was sent without a network, for tests with a fake clock.
func sent(h *Protocol, body string) (status, retryAfter int) {
	request := server.Request{Method: http.MethodPost, Head: &http1.Head{Length: int64(len(body))}, Body: strings.NewReader(body)}
	var response http1.Response
	h.Handle(&request, &response)
	return response.Status, response.RetryAfter
}

// An emitter has one rate, however its id is escaped in JSON.
func TestRateLimitOfEachSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, limited(1, 2), &greedyJournal{})
		for i, want := range []int{202, 202, 429, 429} {
			body := by([]string{`e-1`, `\u0065-1`, `e\u002D1`, `e-1`}[i], aPacket("p", 0))
			if status, _ := sent(h, body); status != want {
				t.Errorf("status %d, want %d: %s", status, want, body)
			}
		}
	})
}

// A client that waits for Retry-After is accepted, a client that does not wait is not, also when
// the wait is more than a minute.
func TestRetryAfterOfRateLimitIsSufficient(t *testing.T) {
	for _, rate := range []float64{1000, 10, 1, 0.02} {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, limited(rate, 3), &greedyJournal{})
			body := aPacket("p", 0)
			for range 3 {
				if status, _ := sent(h, body); status != 202 {
					t.Fatalf("status %d within the burst", status)
				}
			}
			status, wait := sent(h, body)
			if status != 429 || wait < 1 {
				t.Fatalf("status %d, Retry-After %d beyond the burst", status, wait)
			}
			if status, _ := sent(h, by("other", body)); status != 202 {
				t.Errorf("status %d for another emitter", status)
			}
			time.Sleep(time.Duration(wait)*time.Second - time.Duration(float64(time.Second)/rate))
			if status, _ := sent(h, body); rate < 1 && status != 429 {
				t.Errorf("status %d before the time that was named", status)
			}
			time.Sleep(time.Duration(float64(time.Second) / rate))
			if status, _ := sent(h, body); status != 202 {
				t.Errorf("status %d after the %d s that were named", status, wait)
			}
		})
	}
}

func TestRateLimited(t *testing.T) {
	const each = time.Hour // for a message
	began := time.Now()
	f := serve(t, limited(1/each.Seconds(), 2))
	f.exchange(post(aPacket("1", 0))).wantAccepted(t, "1")
	f.exchange(post(strings.Replace(aPacket("2", 0), `"e"`, `"\u0065"`, 1))).wantAccepted(t, "2")
	a := f.exchange(post(strings.Replace(aPacket("3", 0), `"e"`, `"\u0065"`, 1))) // another spelling is the same emitter
	if r := a.wantRefusal(t, 429, problem.RateLimited); r.PacketID != "3" {
		t.Errorf("%+v", r)
	}
	a.wantWaitOfALimit(t, began, each)
	// Lines of several emitters have a rate for each emitter.
	a = f.exchange(post(aPacket("4", 0)+"\n"+by("other", aPacket("5", 0)), linesType))
	if a.StatusCode != 207 || !strings.Contains(a.text, `"accepted":1,"refused":[{"line":1,"packet_id":"4","code":"rate_limited"`) {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
	}
	a.wantWaitOfALimit(t, began, each)
	a = f.exchange(post(aPacket("6", 0)+"\n"+aPacket("7", 0), linesType))
	a.wantRefusal(t, 429, problem.RateLimited)
	a.wantWaitOfALimit(t, began, each)
	f.wantCounted(map[problem.Code]int{problem.RateLimited: 4})
}

// A packet that the journal does not take is not charged.
func TestRateIsRefunded(t *testing.T) {
	f := serve(t, limited(0.001, 2))
	f.journal.putErr = journal.ErrFull
	for range 5 {
		f.exchange(post(aPacket("1", 0))).wantRefusal(t, 503, problem.Overloaded)
		f.exchange(post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType)).wantRefusal(t, 503, problem.Overloaded)
	}
	f.journal.putErr = nil
	f.exchange(post(aPacket("1", 0))).wantAccepted(t, "1")
	f.exchange(post(aPacket("2", 0))).wantAccepted(t, "2")
	f.exchange(post(aPacket("3", 0))).wantRefusal(t, 429, problem.RateLimited)
}

// A packet that is sent again is not charged, nor refused for its emitter's rate.
func TestDuplicatesAreNotCharged(t *testing.T) {
	o := remembering(t)
	o.change = limited(0.001, 2).change
	f := serve(t, o)
	f.exchange(post(aPacket("p", 0))).wantAccepted(t, "p")
	for range 5 {
		f.exchange(post(aPacket("p", 0))).wantDuplicate(t)
	}
	f.exchange(post(aPacket("q", 0))).wantAccepted(t, "q")
	f.exchange(post(aPacket("r", 0))).wantRefusal(t, 429, problem.RateLimited)
	f.exchange(post(aPacket("p", 0))).wantDuplicate(t)
}

// One emitter at ten times its limit among 20 emitters below theirs is the only one that is
// refused.
func TestNoisyEmitter(t *testing.T) {
	const rate, seconds = 100, 30
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, limited(rate, rate/10), &greedyJournal{})
		var all sync.WaitGroup
		emit := func(emitter string, perSecond int) (responses map[int]int) {
			responses = make(map[int]int)
			all.Go(func() {
				for n := range seconds * perSecond {
					status, _ := sent(h, by(emitter, aPacket(fmt.Sprint(n), 0)))
					responses[status]++
					time.Sleep(time.Second / time.Duration(perSecond))
				}
			})
			return responses
		}
		noisy := emit("noisy", 10*rate)
		var calm []map[int]int
		for i := range 20 {
			calm = append(calm, emit(fmt.Sprint("calm-", i), rate))
		}
		all.Wait()
		for i, responses := range calm {
			if len(responses) != 1 || responses[202] != seconds*rate {
				t.Errorf("emitter %d got %v", i, responses)
			}
		}
		if got := noisy[202]; got < seconds*rate || got > seconds*rate+rate/10+1 || noisy[429] != 10*seconds*rate-got {
			t.Errorf("the noisy emitter got %v", noisy)
		}
	})
}
