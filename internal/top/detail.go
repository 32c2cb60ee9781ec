package top

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// maxEvents bounds the events that are kept.
const maxEvents = 100

// Detail is what the stream does not have. Its JSON is that of the server.
type Detail struct {
	Status    adminclient.Status
	Cluster   adminclient.Cluster // empty unless the distributor shares its settings with others
	Analyzers adminclient.Analyzers
	Backlog   adminclient.Backlog
	Events    []adminclient.Occurrence // new ones, at most maxEvents
	LastEvent int64

	raw map[string]json.RawMessage
}

// readDetail reads the detail, with the events after the last one that is known.
func readDetail(ctx context.Context, client *adminclient.Client, lastEvent int64) (Detail, error) {
	d := Detail{raw: make(map[string]json.RawMessage)}
	var events adminclient.Events
	read := func(name string, query url.Values, into any) error {
		answer, err := client.Do(ctx, adminclient.Request{Method: http.MethodGet, Path: adminclient.Path(name), Query: query})
		if err != nil {
			return err
		}
		d.raw[name] = answer.Body
		return answer.Decode(into)
	}
	for _, one := range []struct {
		name  string
		query url.Values
		into  any
	}{
		{"status", nil, &d.Status},
		{"analyzers", nil, &d.Analyzers},
		{"backlog", nil, &d.Backlog},
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

// encode returns the answers of the server as one JSON object.
func (d Detail) encode(at time.Time) ([]byte, error) {
	object := map[string]any{"time": at.UTC().Format(time.RFC3339Nano)}
	for name, body := range d.raw {
		object[name] = body
	}
	return json.Marshal(object)
}
