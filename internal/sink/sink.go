// Package sink defines how packets are sent to one analyzer or backend. A sink implements the
// protocol: how packets are encoded, what a response means and how connections are kept. It has no
// queues, retries or health: package upstream does. sinktest tests a sink against this interface.
package sink

import (
	"context"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Sink is the way to one backend. It is safe for concurrent use, except that only one
// Probe may run at a time.
type Sink interface {
	// Capabilities returns what the backend accepts now. It does not block.
	Capabilities() Capabilities
	// Probe checks the backend's health on a new connection: Delivered means
	// that it is. It may change the capabilities.
	Probe(ctx context.Context, deadline time.Time) Result
	// NewConn returns a connection for one sender, which is opened on demand.
	NewConn() Conn
}

// Conn sends the requests of one sender, one at a time.
type Conn interface {
	// Send sends packets in one request and returns what became of them; it does not
	// retain them. They have at most Capabilities.MaxTraces Traceparents in sequence, and one
	// that spans lines comes alone. The end of ctx ends Send at once, and may close the connection later, too. Callers pass
	// the same ctx to many calls.
	Send(ctx context.Context, packets []*packet.Packet, deadline time.Time) Result
	// Close releases the connection. It must not be used afterwards.
	Close()
}

// Capabilities describe what a backend accepts.
type Capabilities struct {
	// MaxPackets is the maximum number of packets of a request, at least 1.
	MaxPackets int
	// MaxTraces is the maximum number of runs of packets with the same Traceparent, or none, in
	// a request; 0 is 1.
	MaxTraces int
	// Stale means that the backend may accept more, which the next successful Probe reports.
	Stale bool
}

// Outcome is what became of a request.
type Outcome int

const (
	Delivered Outcome = iota // the packets are delivered, except those listed
	Rejected                 // the packet, or one of several, will never be accepted as sent
	Throttled                // the backend accepted no packet and requests a pause
	Failed                   // the backend could not be reached, or gave no usable response
	Aborted                  // ended for a reason that is not the backend's: ctx, or LocalResources
)

// Result is the result of one request.
type Result struct {
	Outcome Outcome
	// Reason is one of Rejections if the packets were rejected, and otherwise one of
	// Failures or empty. It is a metric label.
	Reason string
	// Detail is text for logs and dead letters.
	Detail string
	// Unsent means that the backend cannot have received the packets, or refused the client
	// whatever it sends. A sink may reject packets unsent: one that it cannot encode, or
	// several that need a request each.
	Unsent bool
	// Lost is empty unless the backend closed an earlier connection during this Send,
	// perhaps because of the packets, and has not answered since. It describes how.
	Lost string
	// Exceptions lists the packets that a Delivered request did not deliver, each once.
	Exceptions []Exception
	// Dropped is how many messages of the delivered packets the backend reports as dropped, without
	// their ids. Detail is why.
	Dropped int64
	// Pause is the time for which the backend requests no packets, if the request or
	// an exception is throttled.
	Pause time.Duration
	// Repeat means that a retry of the failed request must have the same packets: the
	// backend recognises a repetition, and would store others twice.
	Repeat bool
	// ProbeSoon means that the backend may have been replaced: Capabilities became Stale.
	ProbeSoon bool
}

// Exception is a packet that was not delivered by a request that delivered others.
type Exception struct {
	Packet int // index
	// Reason is one of Rejections, empty for a packet that is throttled or failed.
	Reason string
	// Failed means that the backend failed with the packet and may take it later.
	Failed bool
	Detail string
}

// The reasons of requests that failed, were throttled or, with LocalResources, aborted.
const (
	Connect    = "connect"
	Timeout    = "timeout"
	Reset      = "reset"
	Status     = "status"
	Unreadable = "unreadable"
	NotNow     = "not_now"
	// Misconfigured is a refusal of the client: its credentials or its URL; the request is
	// Unsent.
	Misconfigured = "misconfigured"
	// Loop is the result of a probe of a backend that sends packets back to this process.
	Loop = "loop"
	// LocalResources is a lack of resources of this machine; the request is Unsent.
	LocalResources = "local_resources"
)

// Failures returns the reasons of requests that did not deliver.
func Failures() []string {
	return []string{Connect, Timeout, Reset, Status, Unreadable, NotNow, Misconfigured, LocalResources}
}

// The reasons of permanent rejections.
const (
	Malformed        = "malformed"
	InvalidPacket    = "invalid_packet"
	TooLarge         = "too_large"
	UnsupportedMedia = "unsupported_media_type"
	Other            = "other"
)

// Rejections returns the reasons of permanent rejections.
func Rejections() []string {
	return []string{Malformed, InvalidPacket, TooLarge, UnsupportedMedia, Other}
}
