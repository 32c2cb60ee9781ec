package httpsink

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

// Success reports whether the status is 2xx.
func (r *Response) Success() bool { return r.Status >= 200 && r.Status < 300 }

// Result returns what the status means for a request as a whole. 400, 413 and 422 are about
// the packets, any other 3xx or 4xx about the configuration of the analyzer: such as wrong
// credentials, a wrong path or index.
func (r *Response) Result() sink.Result {
	switch status := r.Status; {
	case r.Success():
		return sink.Result{Outcome: sink.Delivered}
	case status == http.StatusBadRequest:
		return r.Rejected(sink.Malformed)
	case status == http.StatusRequestEntityTooLarge:
		return r.Rejected(sink.TooLarge)
	case status == http.StatusUnprocessableEntity:
		return r.Rejected(sink.InvalidPacket)
	case status == http.StatusTooManyRequests:
		return r.Throttled()
	case status >= 500 && r.Header.Get("Retry-After") != "":
		return r.Throttled()
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status < 300:
		return r.Failed()
	default:
		return r.Misconfigured()
	}
}

// Rejected is the result of packets that will never be accepted.
func (r *Response) Rejected(reason string) sink.Result {
	return sink.Result{Outcome: sink.Rejected, Reason: reason, Detail: r.Describe()}
}

// Failed is the result of a request that may succeed later.
func (r *Response) Failed() sink.Result {
	return sink.Result{Outcome: sink.Failed, Reason: sink.Status, Detail: r.Describe()}
}

// Throttled is the result of a request whose packets the backend does not accept now.
func (r *Response) Throttled() sink.Result {
	return sink.Result{Outcome: sink.Throttled, Reason: sink.NotNow, Detail: "answered " + strconv.Itoa(r.Status), Pause: r.Pause()}
}

// Misconfigured is the result of a request that the backend refused whatever its packets.
func (r *Response) Misconfigured() sink.Result {
	detail := "the credentials, the URL or the options of the analyzer are wrong: " + r.Describe()
	return sink.Result{Outcome: sink.Failed, Reason: sink.Misconfigured, Detail: detail, Unsent: true}
}

// Unreadable is the result of a success whose body cannot be understood.
func (r *Response) Unreadable(err error) sink.Result {
	return sink.Result{Outcome: sink.Failed, Reason: sink.Unreadable, Detail: err.Error() + ": " + r.Describe()}
}

// Pause returns the time for which the backend requests no packets, or a default.
func (r *Response) Pause() time.Duration {
	pause, _ := transport.RetryAfter(r.Header.Get("Retry-After"), time.Now())
	return pause
}

// Describe returns the response for logs and dead letters.
func (r *Response) Describe() string {
	const maxBytes = 400
	return fmt.Sprintf("answered %d %q", r.Status, r.Body[:min(len(r.Body), maxBytes)])
}
