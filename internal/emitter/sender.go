package emitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/problem"
)

// sender takes one packet after another to the target until it is settled. Each
// worker has its own.
type sender struct {
	connection *connection
	tally      *tally
	outage     *outage
	maxRetries int
	onAccepted func(packetID string, messages int)
}

// send settles a packet: accepted, refused or given up. It returns false when
// ctx ended first. The packet's id stays the same over all tries.
func (s *sender) send(ctx context.Context, p *outgoing) bool {
	if p.due.IsZero() {
		p.due = time.Now()
	}
	for failures := 1; ; failures++ {
		answer := s.try(ctx, p)
		switch answer.verdict {
		case accepted:
			s.tally.accepted(p, time.Since(p.due))
			s.outage.over()
			if s.onAccepted != nil {
				s.onAccepted(string(p.id), p.messages)
			}
			return true
		case refused:
			if s.tally.refused(p, answer.status) {
				s.outage.refused(answer.status, p.id, s.connection.response.Body())
			}
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.outage.begin(answer.reason)
		if s.maxRetries >= 0 && failures > s.maxRetries {
			s.tally.gaveUp(p)
			return true
		}
		s.tally.retried(answer.cause)
		if !sleep(ctx, backoff(failures, answer.retryAfter, rand.Float64())) {
			return false
		}
	}
}

// sleep waits, and returns false when ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// answer is what one try came to.
type answer struct {
	verdict verdict
	// status is the HTTP status, or 0 when there was no answer.
	status int
	// cause, reason and retryAfter are set for a retry.
	cause      retryCause
	reason     error
	retryAfter time.Duration
}

type verdict int

const (
	accepted verdict = iota
	refused
	retry
)

func (s *sender) try(ctx context.Context, p *outgoing) answer {
	if err := s.connection.post(ctx, p.body); err != nil {
		return answer{verdict: retry, cause: causeOf(err), reason: err}
	}
	response := &s.connection.response
	status := response.StatusCode()
	a := answer{status: status}
	switch {
	case status >= 200 && status <= 299, acceptedButLate(response):
		a.verdict = accepted
	case status == fasthttp.StatusRequestTimeout, status == fasthttp.StatusTooManyRequests, status >= 500:
		a.verdict = retry
		a.cause = causeOfStatus(status)
		a.reason = fmt.Errorf("status %d: %s", status, excerpt(response.Body()))
		a.retryAfter = parseRetryAfter(string(response.Header.Peek(fasthttp.HeaderRetryAfter)), time.Now())
	default:
		a.verdict = refused
	}
	return a
}

// acceptedButLate tells that a packet is accepted, but that the delivery for which
// ?ack=delivered asked has not come in time. Sent again it would arrive twice.
func acceptedButLate(response *fasthttp.Response) bool {
	if response.StatusCode() != problem.AckTimeout.Status() {
		return false
	}
	var about struct{ Code problem.Code }
	return json.Unmarshal(response.Body(), &about) == nil && about.Code == problem.AckTimeout
}

func causeOf(err error) retryCause {
	switch {
	case errors.Is(err, errConnect):
		return causeConnect
	case isTimeout(err):
		return causeTimeout
	default:
		return causeReset
	}
}

// excerpt keeps what a person needs of an answer's body.
func excerpt(body []byte) string {
	return fmt.Sprintf("%.200q", body)
}
