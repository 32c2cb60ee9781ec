package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/events"
)

const (
	defaultEvents = 1000
	maxEvents     = 10_000
)

func (a *api) listEvents(r *request) (*response, error) {
	after, limit, wait := r.number("after", 0, 0, 1<<62), r.number("limit", defaultEvents, 1, maxEvents), r.duration("wait", 0, maxWait)
	if r.query.err != nil {
		return nil, r.query.err
	}
	log := a.control.Events()
	if r.Method == http.MethodGet && acceptsEventStream(r.Request) {
		if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && last > after {
			after = last
		}
		return a.streamEvents(log, after)
	}
	if !r.has("after") {
		after = max(0, log.Last()-limit)
	}
	if wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		log.Wait(ctx, after)
	}
	var shown []adminapi.Event
	for _, e := range log.After(after, int(limit)) {
		shown, after = append(shown, eventOf(e)), e.ID
	}
	return &response{body: adminapi.Events{Events: orEmpty(shown), Last: after}}, nil
}

func eventOf(e events.Event) adminapi.Event {
	one := adminapi.Event{
		ID: e.ID, Time: e.Time, Kind: e.Kind, Actor: e.Actor, Address: e.Address, Path: e.Path, Old: e.Old, New: e.New, Reason: e.Reason, Result: e.Result,
	}
	if e.Detail != nil {
		one.Detail, _ = json.Marshal(e.Detail) // JSON can encode it
	}
	return one
}

// acceptsEventStream reports whether a client asks for server-sent events.
func acceptsEventStream(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

func (a *api) streamEvents(log *events.Log, after int64) (*response, error) {
	release, err := a.eventStreams.take()
	if err != nil {
		return nil, err
	}
	return &response{contentType: eventStream, stream: func(s *stream) {
		defer release()
		for s.continues() {
			for _, e := range log.After(after, defaultEvents) {
				if !s.send("event", strconv.FormatInt(e.ID, 10), eventOf(e)) {
					return
				}
				after = e.ID
			}
			if !waitOrHeartbeat(s, func(ctx context.Context) bool { return log.Wait(ctx, after) }) {
				return
			}
		}
	}}, nil
}

// waitOrHeartbeat waits until there is an event to send, and sends a comment if that takes long. It
// reports whether the stream continues.
func waitOrHeartbeat(s *stream, wait func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(s.ctx, heartbeat)
	defer cancel()
	if wait(ctx) {
		return true
	}
	return s.continues() && s.sendHeartbeat()
}

const eventStream = "text/event-stream"
