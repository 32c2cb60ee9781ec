package upstream

import "github.com/logstreamer/logstreamer/internal/sink"

// action is what a sender does with a batch after a request.
type action int

const (
	settle  action = iota // the result of each packet is known
	split                 // send the halves, to find the packet that is the cause in few requests
	retry                 // send the same packets again
	reroute               // return the packets to the router
)

// decide returns the action after a request with a number of packets. A failed request is
// followed by another one if fewer than retries failed before.
func decide(r sink.Result, packets, failures, retries int) action {
	retryable := r.Outcome == sink.Failed && !r.Unsent && failures < retries
	switch {
	case r.Outcome == sink.Delivered, r.Outcome == sink.Rejected && packets == 1:
		return settle
	case r.Outcome == sink.Rejected, retryable && packets > 1 && !r.Repeat:
		return split
	case retryable:
		return retry
	default:
		return reroute
	}
}
