package native

import (
	"context"
	"errors"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// conn implements sink.Conn.
type conn struct {
	connection *connection
	request    *request
}

// NewConn implements sink.Sink.
func (s *Sink) NewConn() sink.Conn { return s.newConn("/ingest") }

func (s *Sink) newConn(path string) *conn {
	return &conn{newConnection(s.dial, &s.epoch), newRequest(s.base, path)}
}

// Close implements sink.Conn.
func (c *conn) Close() { c.connection.close() }

// Send implements sink.Conn. A request over a reused connection that the analyzer closed is
// sent once more, over a new one.
func (c *conn) Send(ctx context.Context, packets []*packet.Packet, deadline time.Time) sink.Result {
	packet.CompleteAll(packets)
	c.request.preparePost(packets)
	c.connection.madeStale = false
	resp, err := c.connection.exchange(ctx, c.request, deadline)
	lost := ""
	if err != nil {
		var stale *errStale
		if errors.As(err, &stale) {
			if stale.cause != errNotIdle {
				lost = err.Error()
			}
			resp, err = c.connection.exchange(ctx, c.request, deadline)
		}
	}
	result := classify(resp, err, len(packets))
	if err != nil {
		result.Lost = lost
	}
	if result.Outcome == sink.Rejected && result.Reason == sink.UnsupportedMedia && len(packets) > 1 && !result.Unsent {
		c.connection.epoch.learn(0, 0)
	}
	result.ProbeSoon = c.connection.madeStale
	return result
}
