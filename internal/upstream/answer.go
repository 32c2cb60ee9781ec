package upstream

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// outcome is what an answer means for the packets that were sent.
type outcome int

const (
	taken       outcome = iota // delivered, but for the lines listed
	refused                    // will never be taken
	notNow                     // the analyzer asks for a pause
	failed                     // everything else, and no answer
	heldBack                   // not sent, or broken off, for reasons of ours
	oneByOne                   // not sent: they may not share a request
	stale                      // the kept connection was closed, perhaps before they were written
	noResources                // not sent: this machine lacks what a connection needs
)

// answer is an analyzer's answer, or the lack of one, as the sender sees it.
type answer struct {
	outcome outcome
	// reason is a word of a small closed set, for metrics.
	reason string
	// detail is for people.
	detail string
	// pause is how long a notNow, or a line that is not taken now, asks for.
	pause time.Duration
	// unsent means that the analyzer cannot have seen the packets.
	unsent bool
	// lines lists what a taken request's answer excepts.
	lines []refusedLine
}

// The reasons of failures and pauses.
const (
	reasonConnect    = "connect"
	reasonTimeout    = "timeout"
	reasonReset      = "reset"
	reasonStatus     = "status"
	reasonUnreadable = "unreadable"
	reasonNotNow     = "not_now"
	// reasonResources is a shortage of this machine's, not a failure of the analyzer.
	reasonResources = "local_resources"
)

var failureReasons = []string{
	reasonConnect, reasonTimeout, reasonReset, reasonStatus, reasonUnreadable, reasonNotNow, reasonResources,
}

// The reasons of refusals for good.
const (
	refusedMalformed = "malformed"
	refusedInvalid   = "invalid_packet"
	refusedTooLarge  = "too_large"
	refusedMediaType = "unsupported_media_type"
	refusedOther     = "other"
	// refusedFailing: analyzers that take others keep failing with it.
	refusedFailing = "keeps_failing"
)

// RefusalReasons are all reasons that a Rejection may have.
func RefusalReasons() []string {
	return []string{refusedMalformed, refusedInvalid, refusedTooLarge, refusedMediaType, refusedOther, refusedFailing}
}

// defaultPause follows a "not now" that names no time.
const (
	shortestPause = 100 * time.Millisecond
	defaultPause  = time.Second
	longestPause  = time.Minute
)

// understand classifies the result of an exchange that carried so many packets as
// the contract says.
func understand(r response, err error, packets int, now time.Time) answer {
	if err != nil {
		return noAnswer(err)
	}
	status := r.status
	pause, asked := retryAfter(r.field("Retry-After"), now)
	switch {
	case status == http.StatusMultiStatus:
		lines, err := readRefusedLines(r, packets)
		if err != nil {
			return answer{outcome: failed, reason: reasonUnreadable, detail: err.Error() + ": " + describe(r)}
		}
		return answer{outcome: taken, lines: lines, pause: pause}
	case isSuccess(status):
		return answer{outcome: taken}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && asked:
		return answer{outcome: notNow, reason: reasonNotNow, detail: "answered " + strconv.Itoa(status), pause: pause}
	case refusalOf(status) != "":
		return answer{outcome: refused, reason: refusalOf(status), detail: describe(r)}
	default:
		return answer{outcome: failed, reason: reasonStatus, detail: describe(r)}
	}
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

func noAnswer(err error) answer {
	switch err {
	case errInterrupted:
		return answer{outcome: heldBack}
	case errOneByOne:
		return answer{outcome: oneByOne, unsent: true}
	}
	a := answer{outcome: failed, reason: reasonReset, detail: err.Error()}
	var connect *errConnect
	var closed *errStale
	var malformed *errMalformed
	switch {
	case errors.As(err, &closed):
		return answer{outcome: stale, detail: a.detail, unsent: closed.cause == errSilenceBroken}
	case errors.As(err, &connect) && isShortage(err):
		a.outcome, a.reason, a.unsent = noResources, reasonResources, true
	case errors.As(err, &connect):
		a.reason, a.unsent = reasonConnect, true
	case errors.As(err, &malformed):
		a.reason = reasonUnreadable
	case isTimeout(err):
		a.reason = reasonTimeout
	}
	return a
}

func refusalOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return refusedMalformed
	case http.StatusUnprocessableEntity:
		return refusedInvalid
	case http.StatusRequestEntityTooLarge:
		return refusedTooLarge
	case http.StatusUnsupportedMediaType:
		return refusedMediaType
	}
	return ""
}

// retryAfter reads the header's two forms, bounded to a minute.
func retryAfter(value string, now time.Time) (pause time.Duration, asked bool) {
	if value == "" {
		return defaultPause, false
	}
	pause = defaultPause
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && !math.IsNaN(seconds) {
		pause = time.Duration(min(max(seconds, 0), longestPause.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		pause = at.Sub(now)
	}
	return min(max(pause, shortestPause), longestPause), true
}

func describe(r response) string {
	const longest = 200
	body := r.body
	if len(body) > longest {
		body = body[:longest]
	}
	return fmt.Sprintf("answered %d %q", r.status, body)
}
