package adminclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	firstRetry = 500 * time.Millisecond
	maxRetry   = 5 * time.Second
	// refusedRetry is longer because the server counts failures to authenticate.
	refusedRetry = 30 * time.Second
)

// Follower gets what happens to a stream, one call at a time.
type Follower interface {
	// Connected reports that the server answered.
	Connected()
	// Receive gets an event. An error ends Follow, which returns it.
	Receive(Event) error
	// Disconnected reports the end of a connection, or that there was none, and when the
	// next one is tried. An error ends Follow, which returns it.
	Disconnected(err error, retry time.Duration) error
}

// Stream is a stream of events.
type Stream struct {
	Path  string
	Query url.Values
	// LastID is the id of the last event that was received; empty means none.
	LastID string
	// Idle bounds the time between two events or comments; 0 means no bound.
	Idle time.Duration
}

// Follow receives a stream until the context ends or the follower returns an error. It
// connects again after a failure, with Last-Event-ID, so that the server sends what was missed
// or, after a restart, an event of type reset.
func (c *Client) Follow(ctx context.Context, s Stream, f Follower) error {
	for delay := firstRetry; ; {
		received, retry, err := c.receive(ctx, &s, f)
		var ended followerError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &ended):
			return ended.error
		case received:
			delay = firstRetry
		}
		wait := nextDelay(delay, retry, err)
		if err := f.Disconnected(err, wait); err != nil {
			return err
		}
		if !worker.Sleep(ctx, wait) {
			return context.Cause(ctx)
		}
		delay = min(2*delay, maxRetry)
	}
}

// followerError is an error of a follower.
type followerError struct{ error }

// receive receives the events of one connection, until it ends, and updates s.LastID. It
// reports whether there were any, and the delay that the server requested.
func (c *Client) receive(ctx context.Context, s *Stream, f Follower) (received bool, retry time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Cache-Control": {"no-cache"}}
	if s.LastID != "" {
		header.Set("Last-Event-ID", s.LastID)
	}
	response, err := c.connect(ctx, cancel, Request{Method: http.MethodGet, Path: s.Path, Query: s.Query, Accept: "text/event-stream"}, header)
	if err != nil {
		return false, 0, err
	}
	defer response.Body.Close() //nolint:errcheck // the connection is dropped
	f.Connected()
	body := io.Reader(response.Body)
	if s.Idle > 0 {
		idle := time.AfterFunc(s.Idle, func() { cancel(fmt.Errorf("nothing was received for %v", s.Idle)) })
		defer idle.Stop()
		body = &watched{body, idle, s.Idle}
	}
	events := newEventReader(body, s.LastID)
	for {
		event, err := events.next()
		if err != nil {
			return received, events.retry, c.unreachable(ctx, err)
		}
		received, s.LastID = true, event.ID
		if err := f.Receive(event); err != nil {
			return received, events.retry, followerError{err}
		}
	}
}

// connect opens a stream: the timeout bounds the time until the response begins.
func (c *Client) connect(ctx context.Context, cancel context.CancelCauseFunc, r Request, header http.Header) (*http.Response, error) {
	timer := time.AfterFunc(c.timeout, func() { cancel(fmt.Errorf("timeout after %v", c.timeout)) })
	defer timer.Stop()
	return c.open(ctx, r, header)
}

// Lines reads a response that comes line by line, each of at most 8 MiB, until it ends or
// receive returns an error.
func (c *Client) Lines(ctx context.Context, path string, query url.Values, receive func(line []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	response, err := c.connect(ctx, cancel, Request{Method: http.MethodGet, Path: path, Query: query, Accept: "application/x-ndjson"}, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was read, or is dropped
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxEventBytes)
	for lines.Scan() {
		if err := receive(lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return c.unreachable(ctx, err)
	}
	return nil
}

// watched restarts a timer for each read that returns data.
type watched struct {
	io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.timer.Reset(w.idle)
	}
	return n, err
}

// nextDelay returns the time until the next connection: longer by up to a half at random, so
// that the clients of a restarted server do not return together.
func nextDelay(delay, asked time.Duration, err error) time.Duration {
	var refused *Error
	if errors.As(err, &refused) && refused.Unauthorized() {
		delay = refusedRetry
	}
	delay = max(delay, min(asked, refusedRetry))
	return delay + rand.N(delay/2+1)
}
