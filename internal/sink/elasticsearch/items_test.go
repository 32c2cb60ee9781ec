package elasticsearch

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

// FuzzItems reads responses of any content. The result of the same response is the same, packets are
// delivered only if the response says so, and those that are listed are distinct packets of the request.
func FuzzItems(f *testing.F) {
	const failed = `{"create":{"status":429,"error":{"type":"t","reason":"\"errors\":false"}}}`
	f.Add([]byte(`{"took":1,"errors":false,"items":[{"create":{"status":201}}]}`))
	f.Add([]byte(`{ "errors" : false , "items" : [] }`))
	f.Add([]byte(`{"took":1,"errors":true,"items":[{"create":{"status":201}},` + failed + `,{"create":{"status":409}},` + failed + `]}`))
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":400,"error":{"errors":false}}},` + failed + `,` + failed + `,` + failed + `]}`))
	f.Add([]byte(`{"errors":true,"items":[{},{"create":{"status":201},"index":{"status":400}},{"create":{"status":201}},{"create":{"status":201}}]}`))
	f.Add([]byte(`{"errors":true,"items":[null,null]}`))
	packets := []*packet.Packet{httpsinktest.Packet(f, httpsinktest.Rich), httpsinktest.Packet(f, httpsinktest.Rich)}
	c := Backend(new(httpsink.Options)).NewCodec()
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &httpsink.Response{Status: 200, Body: body}
		result := c.Result(r, packets)
		for range 4 { // the order of a map differs
			if again := c.Result(r, packets); !reflect.DeepEqual(again, result) {
				t.Fatalf("%q: %+v, and then %+v", body, result, again)
			}
		}
		if delivered := result.Outcome == sink.Delivered && len(result.Exceptions) == 0; delivered && json.Valid(body) && !reportsSuccess(body) {
			t.Fatalf("%q: all packets are delivered", body)
		}
		for i, e := range result.Exceptions {
			if e.Packet < 0 || e.Packet >= len(packets) || i > 0 && e.Packet <= result.Exceptions[i-1].Packet {
				t.Fatalf("%q: %+v", body, result)
			}
		}
	})
}

// reportsSuccess reports whether valid JSON is an object whose first "errors" is false, or each of
// whose items has the status of a document that is stored.
func reportsSuccess(body []byte) bool {
	var response struct {
		Items []map[string]struct{ Status int }
	}
	failed := func(one map[string]struct{ Status int }) bool {
		return !slices.ContainsFunc(slices.Collect(maps.Values(one)), func(s struct{ Status int }) bool { return s.Status/100 == 2 || s.Status == 409 })
	}
	if json.Unmarshal(body, &response) == nil && len(response.Items) > 0 && !slices.ContainsFunc(response.Items, failed) {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if first, _ := d.Token(); first != json.Delim('{') {
		return false
	}
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return false
		}
		if text, _ := name.(string); strings.EqualFold(text, "errors") && string(value) == "false" {
			return true
		}
	}
	return false
}
