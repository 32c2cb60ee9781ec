package datadog

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

const logs = "POST /api/v2/logs"

func TestRecords(t *testing.T) {
	s := new(protocoltest.System).Start(t, "datadog")
	p := New(s.Receiver)
	const body = `[{"ddsource":"nginx","ddtags":"env:prod","hostname":"h","service":"s","status":"warn","timestamp":1700000000123,"message":"one"},
{"ddsource":"go","timestamp":"2023-11-14T22:13:20Z","message":{"a": 1}}]`
	for range 2 { // the second time they are duplicates
		if response, handled := s.Do(p, logs, body, "DD-API-KEY: any"); !handled || response.Status != 202 || string(response.Body) != "{}" {
			t.Fatalf("%d %s", response.Status, response.Body)
		}
	}
	const want = `s/h: 1700000000123 WARN one {body_key=message ddsource=nginx ddtags=env:prod hostname=h input=datadog service=s severity_text=warn}
go: 1700000000000 INFO {"a":1} j {body_key=message ddsource=go input=datadog}`
	if got := s.NewText(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Parameters of the query are defaults of records, and part of what a repetition has in common.
func TestParameters(t *testing.T) {
	s := new(protocoltest.System).Start(t, "datadog")
	p := New(s.Receiver)
	const body = `[{"message":"one","timestamp":1700000000123},{"message":"two","timestamp":1700000000123,"service":"own","hostname":"","ddtags":"a:b"}]`
	for _, query := range []string{"?ddsource=nodejs&service=shop&hostname=web%201&ddtags=env:x", "?service=shop", "?service=shop", ""} {
		s.Do(p, logs+query, body)
	}
	const want = `shop/web 1: 1700000000123 INFO one {body_key=message ddsource=nodejs ddtags=env:x hostname=web 1 input=datadog service=shop}
own: 1700000000123 INFO two {body_key=message ddsource=nodejs ddtags=a:b hostname= input=datadog service=own}
shop: 1700000000123 INFO one {body_key=message input=datadog service=shop}
own: 1700000000123 INFO two {body_key=message ddtags=a:b hostname= input=datadog service=own}
192.0.2.1: 1700000000123 INFO one {body_key=message input=datadog}
own: 1700000000123 INFO two {body_key=message ddtags=a:b hostname= input=datadog service=own}`
	if got := s.NewText(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUntimed(t *testing.T) {
	s := new(protocoltest.System).Start(t, "datadog")
	p := New(s.Receiver)
	for range 2 {
		s.Do(p, logs, `{"message":"m"}`)
	}
	if ids := s.PacketIDs(); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("%q", ids)
	}
}

func TestResponses(t *testing.T) {
	// The token is "secret".
	const tokens = "team sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n"
	locked := func() *protocoltest.System { return &protocoltest.System{Tokens: tokens} }
	for name, c := range map[string]struct {
		system        *protocoltest.System
		request, body string
		fields        []string
		status        int
	}{
		"empty":       {new(protocoltest.System), logs, `[]`, nil, 202},
		"malformed":   {new(protocoltest.System), logs, `[{]`, nil, 400},
		"no object":   {new(protocoltest.System), logs, `[5]`, nil, 400},
		"method":      {new(protocoltest.System), "GET /api/v2/logs", ``, nil, 405},
		"validate":    {new(protocoltest.System), "GET /api/v1/validate", ``, nil, 200},
		"full":        {&protocoltest.System{Journal: protocoltest.Journal{Full: true}}, logs, `{}`, nil, 503},
		"too large":   {&protocoltest.System{MaxBodyBytes: 1}, logs, `{}`, nil, 413},
		"no key":      {locked(), logs, `{}`, nil, 403},
		"other key":   {locked(), "GET /api/v1/validate", ``, []string{"DD-API-KEY: other"}, 403},
		"key":         {locked(), logs, `{}`, []string{"DD-API-KEY: secret"}, 202},
		"a parameter": {locked(), "POST /v1/input?dd-api-key=secret", `{}`, nil, 202},
		"old key":     {locked(), "GET /api/v1/validate?api_key=secret", ``, nil, 200},
		"a path":      {locked(), "POST /v1/input/secret", `{}`, nil, 202},
		"other path":  {locked(), "POST /v1/input/other", `{}`, nil, 403},
		"bearer":      {locked(), logs, `{}`, []string{"Authorization: Bearer secret"}, 202},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.system.Start(t, "datadog")
				response, handled := s.Do(New(s.Receiver), c.request, c.body, c.fields...)
				if !handled || response.Status != c.status || !json.Valid(response.Body) || (c.status >= 300) != strings.Contains(string(response.Body), `"errors"`) {
					t.Errorf("%v %d %s", handled, response.Status, response.Body)
				}
				if (response.RetryAfter > 0) != (c.status == 503) {
					t.Errorf("Retry-After %d", response.RetryAfter)
				}
			})
		})
	}
	s := new(protocoltest.System).Start(t, "datadog")
	if _, handled := s.Do(New(s.Receiver), "POST /api/v2/series", ""); handled {
		t.Error("an unknown path is handled")
	}
}

// FuzzRecords accepts what encoding/json reads as an object, or as an array with an object or empty.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`[{"message":"m","status":"warn","timestamp":1700000000123,"a":{"b":[1,{}]}},{}]`))
	f.Add([]byte(`[5,{},null]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := new(protocoltest.System).Start(t, "datadog")
		response, _ := s.Do(New(s.Receiver), logs, string(body))
		valid := protocoltest.IsObject(body)
		var list []json.RawMessage
		if err := json.Unmarshal(body, &list); err == nil && list != nil {
			valid = len(list) == 0 || slices.ContainsFunc(list, func(one json.RawMessage) bool { return protocoltest.IsObject(one) })
		}
		if valid != (response.Status == 202) || !valid && response.Status != 400 {
			t.Fatalf("%q: %d %s", body, response.Status, response.Body)
		}
	})
}

func TestLargeRecord(t *testing.T) {
	record := func(text string) string { return `{"timestamp":1700000000000,"message":"` + text + `"}` }
	protocoltest.RejectedRecord{
		Reason:   problem.TooLarge,
		Protocol: "datadog", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Request: logs, Success: http.StatusAccepted,
		Alone: record("%s"), Among: "[" + record("one") + "," + record("%s") + "," + record("two") + "]",
		Others: "192.0.2.1: 1700000000000 INFO one {body_key=message input=datadog}\n192.0.2.1: 1700000000000 INFO two {body_key=message input=datadog}",
	}.Check(t)
}

func TestMalformedRecord(t *testing.T) {
	record := func(text string) string { return `{"timestamp":1700000000000,"message":"` + text + `"}` }
	protocoltest.RejectedRecord{
		Protocol: "datadog", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Request: logs, Success: http.StatusAccepted,
		Reason: problem.Malformed, Alone: `["three"]`, Among: "[" + record("one") + `,"three",` + record("two") + "]",
		Others: "192.0.2.1: 1700000000000 INFO one {body_key=message input=datadog}\n192.0.2.1: 1700000000000 INFO two {body_key=message input=datadog}",
	}.Check(t)
}
