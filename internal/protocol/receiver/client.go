package receiver

import (
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Client is the client of a connection, which authenticates once. It must not be used concurrently.
type Client struct {
	receiver *Receiver
	address  netip.Addr
	identity *credential.Identity
}

// Client returns the client of a connection.
func (r *Receiver) Client(address netip.Addr, identity *credential.Identity) *Client {
	return &Client{r, address, identity}
}

// Sender returns the client as the sender of what has arrived, or why it may not send: INGEST_TOKENS_FILE
// may have changed since it authenticated.
func (c *Client) Sender() (Sender, *problem.Problem) {
	from := Sender{Client: c.address}
	if !c.receiver.NeedsToken() {
		return from, nil
	}
	if from.Principal = c.identity.In(c.receiver.Principals()); from.Principal == nil {
		return from, c.receiver.Unauthorized(from)
	}
	return from, nil
}
