package top

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// maxEvents bounds the events that are kept.
const maxEvents = 100

// maxRefused bounds the emitters that are shown as refused lately, or with a backlog.
const maxRefused = 3

// Detail is what the stream does not have. Its JSON is that of the server.
type Detail struct {
	Status    adminapi.Status
	Cluster   adminapi.Cluster // empty unless the distributor shares its settings with others
	Analyzers adminapi.Analyzers
	Backlog   adminapi.Backlog
	Refusals  adminapi.Refusals // of the maxRefused emitters that are refused most
	Events    []adminapi.Event  // new ones, at most maxEvents
	LastEvent int64

	raw map[string]json.RawMessage
}

// readDetail reads the detail, with the events after the last one that is known.
func readDetail(ctx context.Context, client *adminclient.Client, lastEvent int64) (Detail, error) {
	d := Detail{raw: make(map[string]json.RawMessage)}
	var events adminapi.Events
	read := func(name string, query url.Values, into any) error {
		response, err := client.Do(ctx, adminclient.Request{Method: http.MethodGet, Path: adminclient.Path(name), Query: query})
		if err != nil {
			return err
		}
		d.raw[name] = response.Body
		return response.Decode(into)
	}
	for _, one := range []struct {
		name  string
		query url.Values
		into  any
	}{
		{"status", nil, &d.Status},
		{"analyzers", nil, &d.Analyzers},
		{"backlog", nil, &d.Backlog},
		{"refusals", url.Values{"top": {strconv.Itoa(maxRefused)}}, &d.Refusals},
		{"events", url.Values{"after": {strconv.FormatInt(lastEvent, 10)}, "limit": {"10000"}}, &events},
	} {
		if err := read(one.name, one.query, one.into); err != nil {
			return Detail{}, err
		}
	}
	if d.Status.Settings.Shared {
		if err := read("cluster", nil, &d.Cluster); err != nil {
			return Detail{}, err
		}
	}
	d.Events, d.LastEvent = events.Events[max(0, len(events.Events)-maxEvents):], events.Last
	return d, nil
}

// refused returns a line for each emitter that was refused lately.
func (d Detail) refused() []string {
	var lines []string
	for _, one := range d.Refusals.Emitters {
		var reasons []string
		for _, r := range one.ByReason {
			reasons = append(reasons, words(r.Reason))
		}
		lines = append(lines, fmt.Sprintf("%s: %d packets refused lately (%s), last at %s", one.Emitter, one.Packets, strings.Join(reasons, ", "), one.Last.UTC().Format(time.TimeOnly)))
	}
	return lines
}

// words returns a name of the API as words, such as "rate limited".
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// encode returns the responses of the server as one JSON object.
func (d Detail) encode(at time.Time) ([]byte, error) {
	object := map[string]any{"time": at.UTC().Format(time.RFC3339Nano)}
	for name, body := range d.raw {
		object[name] = body
	}
	return json.Marshal(object)
}
