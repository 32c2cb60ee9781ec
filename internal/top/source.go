package top

import (
	"context"
	"encoding/json"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// streamIdle is how long a stream that has an event a second may be silent.
const streamIdle = 10 * time.Second

// Messages of the stream.
type (
	// connectedMsg reports a response to the request for the stream.
	connectedMsg struct{}
	// disconnectedMsg reports that there is no connection.
	disconnectedMsg struct {
		err   error
		retry time.Duration
	}
	// snapshotMsg is a second of the distributor.
	snapshotMsg struct{ adminapi.Snapshot }
	// resetMsg reports that another process sent the snapshots before, or that some were missed.
	resetMsg struct{ boot string }
)

// source turns the stream into messages.
type source struct{ send func(any) }

// Connected implements adminclient.Follower.
func (s source) Connected() { s.send(connectedMsg{}) }

// Receive implements adminclient.Follower.
func (s source) Receive(e adminclient.Event) error {
	switch e.Type {
	case "snapshot":
		var snapshot adminapi.Snapshot
		if err := json.Unmarshal(e.Data, &snapshot); err != nil {
			return err
		}
		s.send(snapshotMsg{snapshot})
	case "reset":
		var reset struct{ Boot string }
		if err := json.Unmarshal(e.Data, &reset); err != nil {
			return err
		}
		s.send(resetMsg{reset.Boot})
	}
	return nil
}

// Disconnected implements adminclient.Follower.
func (s source) Disconnected(err error, retry time.Duration) error {
	s.send(disconnectedMsg{err, retry})
	return nil
}

// follow sends messages until the context ends.
func follow(ctx context.Context, client *adminclient.Client, send func(any)) error {
	return client.Follow(ctx, adminclient.Stream{Path: adminclient.Path("stream"), Idle: streamIdle}, source{send})
}
