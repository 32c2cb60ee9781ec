package emitter

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/printable"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// sender sends packets one after another until each is completed. Each worker
// has its own.
type sender struct {
	targets    *targets
	connection *connection
	counters   *counters
	maxRetries int
	emitterID  string // of packets that are not raw
}

// send completes a packet: accepted, refused or given up. It returns false when
// ctx is done first. All attempts use the same packet id.
func (s *sender) send(ctx context.Context, p *outgoing) bool {
	if p.due.IsZero() {
		p.due = time.Now()
	}
	for failures := 1; ; failures++ {
		to := s.targets.pick(s.emitterOf(p))
		result := s.attempt(ctx, to, p)
		switch result.verdict {
		case accepted:
			s.counters.accepted(p, time.Since(p.due))
			s.targets.succeed(to)
			return true
		case refused:
			if s.counters.refused(p, result.status) {
				to.outage.refused(result.status, p.id, s.connection.response.Body())
			}
			s.targets.succeed(to)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		elsewhere := s.targets.fail(to, result)
		if s.maxRetries >= 0 && failures > s.maxRetries {
			s.counters.gaveUp(p)
			return true
		}
		s.counters.retried(result.cause)
		if !elsewhere && !worker.Sleep(ctx, backoff(failures, result.retryAfter, rand.Float64())) {
			return false
		}
	}
}

// attemptResult is the result of one attempt.
type attemptResult struct {
	verdict verdict
	// status is the HTTP status, or 0 without a response.
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

// emitterOf returns the emitter_id of a packet.
func (s *sender) emitterOf(p *outgoing) string {
	if p.emitterID != "" {
		return p.emitterID
	}
	return s.emitterID
}

func (s *sender) attempt(ctx context.Context, to *target, p *outgoing) attemptResult {
	if to == nil {
		return attemptResult{verdict: retry, cause: causeConnect, reason: errUnresolved}
	}
	s.connection.use(to, s.emitterOf(p))
	if err := s.connection.post(ctx, p.body); err != nil {
		return attemptResult{verdict: retry, cause: retryCauseOf(err), reason: err}
	}
	response := &s.connection.response
	status := response.StatusCode()
	a := attemptResult{status: status}
	switch {
	case status >= 200 && status <= 299, isAckTimeout(response):
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

// isAckTimeout reports whether the packet is accepted but was not delivered
// within the timeout of ?ack=delivered. A retry would be a duplicate.
func isAckTimeout(response *fasthttp.Response) bool {
	if response.StatusCode() != problem.AckTimeout.Status() {
		return false
	}
	var about struct{ Code problem.Code }
	return json.Unmarshal(response.Body(), &about) == nil && about.Code == problem.AckTimeout
}

func retryCauseOf(err error) retryCause {
	switch {
	case errors.Is(err, errConnect):
		return causeConnect
	case isTimeout(err):
		return causeTimeout
	default:
		return causeReset
	}
}

// excerpt returns the detail of a problem document, or the start of another response body, for logs.
func excerpt(body []byte) string {
	var document struct{ Detail string }
	if json.Unmarshal(body, &document) == nil && document.Detail != "" {
		return printable.String(fmt.Sprintf("%.500s", document.Detail))
	}
	return cmp.Or(printable.String(fmt.Sprintf("%.200s", bytes.TrimSpace(body))), "(empty)")
}
