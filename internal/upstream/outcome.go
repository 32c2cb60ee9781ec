package upstream

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// outcome is the meaning of a response for the packets of the request.
type outcome int

const (
	delivered        outcome = iota // accepted, except the lines listed
	rejected                        // permanently rejected
	throttled                       // the analyzer asks for a pause
	failed                          // any other response, or none
	canceled                        // not sent, or interrupted by the distributor
	batchUnsupported                // not sent: the packets may not share a request
	stale                           // the analyzer closed the reused connection, perhaps before the request was written
	noResources                     // not sent: this machine lacks the resources for a connection
)

// sendResult is the classified result of one request.
type sendResult struct {
	outcome outcome
	// reason is a metric label of a closed set.
	reason string
	// detail is text for logs and dead letters.
	detail string
	// pause is the requested pause, if the request or a line was throttled.
	pause time.Duration
	// unsent means that the analyzer cannot have received the packets.
	unsent bool
	// lines lists the packets of a delivered request that were not accepted.
	lines []rejectedLine
}

// The reasons of failed and throttled requests.
const (
	reasonConnect    = "connect"
	reasonTimeout    = "timeout"
	reasonReset      = "reset"
	reasonStatus     = "status"
	reasonUnreadable = "unreadable"
	reasonThrottled  = "not_now"
	// reasonResources is a lack of resources of this machine, not a failure of the analyzer.
	reasonResources = "local_resources"
)

var failureReasons = []string{
	reasonConnect, reasonTimeout, reasonReset, reasonStatus, reasonUnreadable, reasonThrottled, reasonResources,
}

// The reasons of permanent rejections.
const (
	rejectedMalformed = "malformed"
	rejectedInvalid   = "invalid_packet"
	rejectedTooLarge  = "too_large"
	rejectedMediaType = "unsupported_media_type"
	rejectedOther     = "other"
	// rejectedFailing is the reason of a packet that keeps failing at working analyzers.
	rejectedFailing = "keeps_failing"
)

// RejectionReasons returns all values of Rejection.Reason.
func RejectionReasons() []string {
	return []string{rejectedMalformed, rejectedInvalid, rejectedTooLarge, rejectedMediaType, rejectedOther, rejectedFailing}
}

// The pause after a throttled request; defaultPause without a Retry-After.
const (
	minPause     = 100 * time.Millisecond
	defaultPause = time.Second
	maxPause     = time.Minute
)

// classify maps the result of a request of n packets to an outcome.
func classify(r response, err error, n int, now time.Time) sendResult {
	if err != nil {
		return classifyError(err)
	}
	status := r.status
	pause, ok := retryAfter(r.field("Retry-After"), now)
	switch {
	case status == http.StatusMultiStatus:
		lines, err := readRejectedLines(r, n)
		if err != nil {
			return sendResult{outcome: failed, reason: reasonUnreadable, detail: err.Error() + ": " + describe(r)}
		}
		return sendResult{outcome: delivered, lines: lines, pause: pause}
	case isSuccess(status):
		return sendResult{outcome: delivered}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && ok:
		return sendResult{outcome: throttled, reason: reasonThrottled, detail: "answered " + strconv.Itoa(status), pause: pause}
	case rejectionReason(status) != "":
		return sendResult{outcome: rejected, reason: rejectionReason(status), detail: describe(r)}
	default:
		return sendResult{outcome: failed, reason: reasonStatus, detail: describe(r)}
	}
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

func classifyError(err error) sendResult {
	switch err {
	case errInterrupted:
		return sendResult{outcome: canceled}
	case errBatchUnsupported:
		return sendResult{outcome: batchUnsupported, unsent: true}
	}
	result := sendResult{outcome: failed, reason: reasonReset, detail: err.Error()}
	var connect *errConnect
	var closed *errStale
	var malformed *errMalformed
	switch {
	case errors.As(err, &closed):
		return sendResult{outcome: stale, detail: result.detail, unsent: closed.cause == errNotIdle}
	case errors.As(err, &connect) && isExhaustion(err):
		result.outcome, result.reason, result.unsent = noResources, reasonResources, true
	case errors.As(err, &connect):
		result.reason, result.unsent = reasonConnect, true
	case errors.As(err, &malformed):
		result.reason = reasonUnreadable
	case isTimeout(err):
		result.reason = reasonTimeout
	}
	return result
}

func rejectionReason(status int) string {
	switch status {
	case http.StatusBadRequest:
		return rejectedMalformed
	case http.StatusUnprocessableEntity:
		return rejectedInvalid
	case http.StatusRequestEntityTooLarge:
		return rejectedTooLarge
	case http.StatusUnsupportedMediaType:
		return rejectedMediaType
	}
	return ""
}

// retryAfter parses both forms of a Retry-After, bounded to minPause and maxPause, and
// reports whether there is one.
func retryAfter(value string, now time.Time) (pause time.Duration, ok bool) {
	if value == "" {
		return defaultPause, false
	}
	pause = defaultPause
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(seconds) {
		pause = time.Duration(min(max(seconds, 0), maxPause.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, minPause), maxPause), true
}

func describe(r response) string {
	const maxBytes = 200
	body := r.body
	if len(body) > maxBytes {
		body = body[:maxBytes]
	}
	return fmt.Sprintf("answered %d %q", r.status, body)
}
