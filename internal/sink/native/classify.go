package native

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

// classify maps the response to a request of n packets, or its error, to a result.
func classify(r response, err error, n int) sink.Result {
	switch {
	case err == errBatchUnsupported:
		return sink.Result{Outcome: sink.Rejected, Reason: sink.UnsupportedMedia, Detail: err.Error(), Unsent: true}
	case err != nil:
		return transport.ResultOf(err, isUnreadable(err))
	}
	status := r.status
	if isSuccess(status) && status != http.StatusMultiStatus {
		return sink.Result{Outcome: sink.Delivered}
	}
	pause, ok := transport.RetryAfter(r.field("Retry-After"), time.Now())
	switch {
	case status == http.StatusMultiStatus:
		lines, err := readRejectedLines(r, n)
		if err != nil {
			return sink.Result{Outcome: sink.Failed, Reason: sink.Unreadable, Detail: err.Error() + ": " + describe(r)}
		}
		return sink.Result{Outcome: sink.Delivered, Exceptions: lines, Pause: pause}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && ok:
		return sink.Result{Outcome: sink.Throttled, Reason: sink.NotNow, Detail: "answered " + strconv.Itoa(status), Pause: pause}
	case rejectionReason(status) != "":
		return sink.Result{Outcome: sink.Rejected, Reason: rejectionReason(status), Detail: describe(r)}
	default:
		return sink.Result{Outcome: sink.Failed, Reason: sink.Status, Detail: describe(r)}
	}
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

// isUnreadable reports whether an exchange failed because the response is not well-formed.
func isUnreadable(err error) bool {
	var malformed *errMalformed
	return errors.As(err, &malformed)
}

// classifyProbe maps the response to a probe of the path, or its error, to a result.
func classifyProbe(path string, r response, err error) sink.Result {
	switch {
	case err == nil && isSuccess(r.status):
		return sink.Result{Outcome: sink.Delivered}
	case err == nil:
		detail := fmt.Sprintf("the probe, GET %s, was answered with status %d", path, r.status)
		return sink.Result{Outcome: sink.Failed, Reason: sink.Status, Detail: detail}
	}
	return transport.ProbeResultOf(err, isUnreadable(err))
}

func rejectionReason(status int) string {
	switch status {
	case http.StatusBadRequest:
		return sink.Malformed
	case http.StatusUnprocessableEntity:
		return sink.InvalidPacket
	case http.StatusRequestEntityTooLarge:
		return sink.TooLarge
	case http.StatusUnsupportedMediaType:
		return sink.UnsupportedMedia
	}
	return ""
}

func describe(r response) string {
	const maxBytes = 200
	return fmt.Sprintf("answered %d %q", r.status, r.body[:min(len(r.body), maxBytes)])
}
