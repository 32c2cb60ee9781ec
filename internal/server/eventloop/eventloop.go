// Package eventloop serves connections with one goroutine for each processor, which
// saves about a microsecond a request against one for each connection. A loop serves
// requests on the fast path only: with a length, and asking for nothing but to take the
// body. With any other request a connection falls back to a goroutine permanently. The
// package handles heads and bytes of bodies, and leaves the rest to a Handler.
//
// It needs Linux. Elsewhere, and with the build tag noeventloop, no loop takes a
// connection.
package eventloop

import (
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// Handler is what takes the requests of one loop. The loop's goroutine calls it.
type Handler interface {
	// Open returns what takes the requests of a new connection.
	Open(c *Conn) Stream
	// Flush is called at the end of each round of requests.
	Flush()
}

// Stream takes the requests of one connection, one after another: Begin, the body by
// Receive or by Append, then the Stream calls Write, Reply or GiveUp of its Conn once.
type Stream interface {
	// Begin reports whether the fast path serves the request. If whole is true, its body
	// is here and Receive is next. The head is valid during the call.
	Begin(head *http1.Head, whole bool) bool
	// Receive takes the whole body, which is valid during the call.
	Receive(body []byte)
	// Free returns memory for the next part of the body, or none.
	Free() []byte
	// Append takes the next part of the body, which may be at the beginning of what
	// Free returned.
	Append(part []byte)
	// Process is called when the body is complete.
	Process()
	// Abort is called when the body cannot be received to its end.
	Abort(err error)
	// Drop releases a body in transit: the connection leaves the loop.
	Drop()
}

// Event is work for a loop's goroutine.
type Event interface{ Handle(l *Loop) }

// Fallback is a connection that leaves a loop for a goroutine.
type Fallback struct {
	net.Conn
	Client netip.Addr
	// Unread was received.
	Unread []byte
	// Unsent is the rest of a response, and Sent its http1.Response.Sent. The connection
	// closes after it if Last is set, and lingers if Lingers is set.
	Unsent        []byte
	Sent          func()
	Last, Lingers bool
}

// Dependencies are what loops need of the server.
type Dependencies struct {
	NewHandler func(*Loop) Handler
	// FallBack takes a connection over.
	FallBack func(*Fallback)
	// Closed is called when a connection of that client has been closed.
	Closed func(client netip.Addr)
	// Read and Idle bound the wait for the rest of a request and for the next one.
	Read, Idle time.Duration
	// MaxHead is how many bytes a head may have.
	MaxHead int
	Logger  *slog.Logger
}
