package hec

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

const event = "POST /services/collector/event"

func TestEvents(t *testing.T) {
	const success = `{"text":"Success","code":0}`
	for name, c := range map[string]struct {
		request, body, messages string
		fields                  []string
	}{
		"text": {event, `{"time":1700000000.123,"host":"h","source":"s","sourcetype":"t","index":"i","event":"m","fields":{"level":"warn","k":5}}`,
			`t/h: 1700000000123 WARN m {host=h index=i input=hec k=5(i) severity_text=warn source=s sourcetype=t}`, nil},
		"objects without newlines": {"POST /services/collector", `{"time":"1700000000.5","event":{"message":"one","severity":"error","user":{"id":1}}}{"time":1700000000500,"source":"s","event":{"a":[1, 2]}} {"time":1700000001,"event":5}`,
			`192.0.2.1: 1700000000500 ERROR one {body_key=message input=hec severity_text=error user.id=1(i)}
192.0.2.1: 1700000001000 INFO 5 i {input=hec}
s: 1700000000500 INFO {"a":[1,2]} j {input=hec source=s}`, []string{"Content-Type: application/x-www-form-urlencoded"}},
		"array": {"POST /services/collector/event/1.0", `[{"time":1700000000,"event":"one"},{"time":1700000000,"event":"two"}]`,
			"192.0.2.1: 1700000000000 INFO one {input=hec}\n192.0.2.1: 1700000000000 INFO two {input=hec}", nil},
		"blank beside another": {event, `{"time":1700000000,"event":""}{"time":1700000000,"event":"two"}`,
			"192.0.2.1: 1700000000000 INFO (empty) {body_empty=true input=hec}\n192.0.2.1: 1700000000000 INFO two {input=hec}", nil},
		"fields that are no object": {event, `{"time":1700000000,"event":"one","fields":["a"]}{"time":1700000000,"event":"two","fields":null}`,
			"192.0.2.1: 1700000000000 INFO one {fields=[\"a\"](j) input=hec}\n192.0.2.1: 1700000000000 INFO two {input=hec}", nil},
		"escaped names": {event, `{"t\u0069me":1700000000,"\u0065vent":{"m\u0065ssage":"m"},"h\u006fst":"h"}`,
			"h: 1700000000000 INFO m {body_key=message host=h input=hec}", nil},
		"raw": {"POST /services/collector/raw?host=h&sourcetype=t&time=1700000000", "one\r\n\ntwo", "t/h: 1700000000000 INFO one {host=h input=hec sourcetype=t}\nt/h: 1700000000000 INFO two {host=h input=hec sourcetype=t}", nil},
		"defaults": {"POST /services/collector/raw/1.0?source=s&index=i&time=1700000000", "m",
			"s: 1700000000000 INFO m {index=i input=hec source=s}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(protocoltest.System).Start(t, "hec")
			p := New(s.Receiver)
			for range 2 { // the second time they are duplicates
				response, handled := s.Do(p, c.request, c.body, c.fields...)
				if !handled || response.Status != http.StatusOK || string(response.Body) != success {
					t.Errorf("%d %s", response.Status, response.Body)
				}
			}
			if got := s.NewText(); got != c.messages {
				t.Errorf("got\n%s\nwant\n%s", got, c.messages)
			}
		})
	}
}

func TestUntimed(t *testing.T) {
	s := new(protocoltest.System).Start(t, "hec")
	p := New(s.Receiver)
	for range 2 {
		s.Do(p, event, `{"event":"m","time":0}`)
	}
	if ids := s.PacketIDs(); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("%q", ids)
	}
}

// The token is "secret".
const tokens = "team sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n"

func TestResponses(t *testing.T) {
	ok := func() *protocoltest.System { return new(protocoltest.System) }
	locked := func() *protocoltest.System { return &protocoltest.System{Tokens: tokens} }
	for name, c := range map[string]struct {
		system        *protocoltest.System
		request, body string
		fields        []string
		status, code  int
	}{
		"malformed":   {ok(), event, `{"event":`, nil, 400, 6},
		"no object":   {ok(), event, `5`, nil, 400, 6},
		"garbage":     {ok(), event, `{"event":"m"}x`, nil, 400, 6},
		"no event":    {ok(), event, `{}`, nil, 400, 12},
		"no data":     {ok(), event, ` `, nil, 400, 5},
		"no lines":    {ok(), "POST /services/collector/raw", "\n", nil, 400, 5},
		"coding":      {ok(), event, `{"event":"m"}`, []string{"Content-Encoding: br"}, 400, 6},
		"method":      {ok(), "GET /services/collector/event", ``, nil, 405, 6},
		"health":      {ok(), "GET /services/collector/health", ``, nil, 200, 17},
		"health 1.0":  {ok(), "GET /services/collector/health/1.0", ``, nil, 200, 17},
		"full":        {&protocoltest.System{Journal: protocoltest.Journal{Full: true}}, event, `{"event":"m"}`, nil, 503, 9},
		"too large":   {&protocoltest.System{MaxBodyBytes: 5}, event, `{"event":"m"}`, nil, 413, 6},
		"no token":    {locked(), event, `{"event":"m"}`, nil, 401, 2},
		"other token": {locked(), event, `{"event":"m"}`, []string{"Authorization: Splunk other"}, 403, 4},
		"token":       {locked(), event, `{"event":"m"}`, []string{"Authorization: Splunk secret"}, 200, 0},
		"basic":       {locked(), event, `{"event":"m"}`, []string{"Authorization: Basic eDpzZWNyZXQ="}, 200, 0},
		"a parameter": {locked(), event + "?token=secret", `{"event":"m"}`, nil, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.system.Start(t, "hec")
				response, handled := s.Do(New(s.Receiver), c.request, c.body, c.fields...)
				var decoded struct {
					Text string
					Code int
				}
				if err := json.Unmarshal(response.Body, &decoded); err != nil || !handled || response.Status != c.status || decoded.Code != c.code || decoded.Text == "" {
					t.Errorf("%v %d %s", handled, response.Status, response.Body)
				}
				if (response.RetryAfter > 0) != (c.status == 503) {
					t.Errorf("Retry-After %d", response.RetryAfter)
				}
			})
		})
	}
	s := new(protocoltest.System).Start(t, "hec")
	if _, handled := s.Do(New(s.Receiver), "POST /services/collector/other", ""); handled {
		t.Error("an unknown path is handled")
	}
}

// splunk-logging retries only requests without a response: without capacity it gets none.
func TestUnanswered(t *testing.T) {
	const form, needle = "Content-Type: application/x-www-form-urlencoded", "User-Agent: Needle/2.9.1 (Node.js v20.20.2; linux x64)"
	for name, c := range map[string]struct {
		body   string
		fields []string
		want   bool
	}{
		"needle":        {`{"event":"m"}`, []string{form, needle}, true},
		"old":           {`{"event":"m"}`, []string{form}, true},
		"malformed":     {`{"event":`, []string{form, needle}, false},
		"curl":          {`{"event":"m"}`, []string{form, "User-Agent: curl/7.88.1"}, false},
		"another agent": {`{"event":"m"}`, []string{needle}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := (&protocoltest.System{Journal: protocoltest.Journal{Full: true}}).Start(t, "hec")
				if response, _ := s.Do(New(s.Receiver), event, c.body, c.fields...); response.Unanswered != c.want {
					t.Errorf("%d, unanswered %v", response.Status, response.Unanswered)
				}
			})
		})
	}
}

// FuzzEvents compares the events of a body with those that encoding/json sees.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"time":1700000000.5,"event":{"message":"m","level":30},"fields":{"a":{"b":null}}}{"event":"n"}[{"event":1}]`))
	f.Add([]byte(`{"event":1e999}{"event":null,"\u0065vent":1,"event":null}[]`))
	f.Add([]byte(`{"event":1}[{},{"event":2}]{"event":`))
	f.Add([]byte(`{"event":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := new(protocoltest.System).Start(t, "hec")
		response, _ := s.Do(New(s.Receiver), event, string(body))
		if strings.Contains(string(response.Body), "nested deeper") {
			return
		}
		want, ok := reference(body)
		if ok != (response.Status == 200) || !ok && response.Status != 400 {
			t.Fatalf("%q: %d %s, want %v", body, response.Status, response.Body, ok)
		}
		if got := strings.Count("\n"+s.NewText(), " {"); got < want || want == 0 && got > 0 {
			t.Fatalf("%q: %d events, want %d", body, got, want)
		}
	})
}

// reference returns the number of events up to one that is no JSON, and whether there are any and
// none is.
func reference(body []byte) (events int, ok bool) {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	for {
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return events, errors.Is(err, io.EOF) && events > 0
		}
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil || value[0] != '[' {
			list = []json.RawMessage{value}
		}
		for _, envelope := range list {
			if hasEvent(envelope) {
				events++
			}
		}
	}
}

// hasEvent reports whether a value is an object with an event that is not null.
func hasEvent(envelope json.RawMessage) bool {
	decoder := json.NewDecoder(strings.NewReader(string(envelope)))
	if begin, _ := decoder.Token(); begin != json.Delim('{') {
		return false
	}
	for decoder.More() {
		name, _ := decoder.Token()
		var value json.RawMessage
		if decoder.Decode(&value) == nil && name == "event" && string(value) != "null" {
			return true
		}
	}
	return false
}

func TestLargeEvent(t *testing.T) {
	event := func(text string) string { return `{"time":1700000000,"event":"` + text + `"}` }
	l := protocoltest.RejectedRecord{
		Reason:   problem.TooLarge,
		Protocol: "hec", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Success: http.StatusOK,
		Others: "192.0.2.1: 1700000000000 INFO one {input=hec}\n192.0.2.1: 1700000000000 INFO two {input=hec}",
	}
	for name, c := range map[string]struct{ request, alone, among string }{
		"events": {"/services/collector", event("%s"), event("one") + event("%s") + event("two")},
		"array":  {"/services/collector", "[" + event("%s") + "]", "[" + event("%s") + "," + event("one") + "," + event("two") + "]"},
		"lines":  {"/services/collector/raw?time=1700000000", "%s", "one\n%s\ntwo"},
	} {
		t.Run(name, func(t *testing.T) {
			l.Request, l.Alone, l.Among = "POST "+c.request, c.alone, c.among
			l.Check(t)
		})
	}
}

func TestMalformedEvent(t *testing.T) {
	const one, two = `{"time":1700000000,"event":"one"}`, `{"time":1700000000,"event":"two"}`
	r := protocoltest.RejectedRecord{
		Protocol: "hec", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Request: event, Success: http.StatusOK, Reason: problem.Malformed,
		Others: "192.0.2.1: 1700000000000 INFO one {input=hec}\n192.0.2.1: 1700000000000 INFO two {input=hec}",
	}
	for name, c := range map[string]struct{ alone, among string }{
		"no event":  {`{"time":1}`, one + `{"time":1}` + two},
		"no object": {`5`, one + "5 " + two},
		"an array":  {`[null]`, "[" + one + ",null," + two + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			r.Alone, r.Among = c.alone, c.among
			r.Check(t)
		})
	}
}

// As by Splunk, events before one that is no JSON are accepted, and the response has its number.
func TestUnreadEvents(t *testing.T) {
	const one, two = `{"time":1700000000,"event":"one"}`, `{"time":1700000000,"event":"two"}`
	const message = "192.0.2.1: 1700000000000 INFO one {input=hec}"
	for body, want := range map[string]struct{ number, messages string }{
		one + `{"event":` + two:              {`"code":6,"invalid-event-number":1}`, message},
		"[" + one + ",{}]" + `{"event":NaN}`: {`"code":6,"invalid-event-number":2}`, message},
		`{"event":NaN}` + two:                {`"code":6,"invalid-event-number":0}`, ""},
		`{}{"event":NaN}`:                    {`"code":12,"invalid-event-number":0}`, ""},
		`{}`:                                 {`"code":12,"invalid-event-number":0}`, ""},
		` `:                                  {`"code":5}`, ""},
	} {
		s := new(protocoltest.System).Start(t, "hec")
		p := New(s.Receiver)
		for range 2 { // the second time they are duplicates
			if response, _ := s.Do(p, event, body); response.Status != http.StatusBadRequest || !strings.HasSuffix(string(response.Body), want.number) {
				t.Errorf("%s: %d %s", body, response.Status, response.Body)
			}
		}
		if got := s.NewText(); got != want.messages {
			t.Errorf("%s became %s", body, got)
		}
	}
}
