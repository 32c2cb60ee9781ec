package gelf

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

func TestHTTP(t *testing.T) {
	const body = `{"version":"1.1","host":"h","short_message":"m","timestamp":1700000000}`
	for name, c := range map[string]struct {
		system        *protocoltest.System
		request, body string
		status        int
	}{
		"record":     {new(protocoltest.System), "POST /gelf", body, 202},
		"no record":  {new(protocoltest.System), "POST /gelf", `[]`, 400},
		"malformed":  {new(protocoltest.System), "POST /gelf", `{`, 400},
		"method":     {new(protocoltest.System), "GET /gelf", ``, 405},
		"full":       {&protocoltest.System{Journal: protocoltest.Journal{Full: true}}, "POST /gelf", body, 503},
		"too large":  {&protocoltest.System{MaxBodyBytes: 1}, "POST /gelf", body, 413},
		"no token":   {&protocoltest.System{Tokens: "t sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n"}, "POST /gelf", body, 401},
		"other path": {new(protocoltest.System), "POST /gelf/x", body, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.system.Start(t, "gelf")
				response, handled := s.Do(New(s.Receiver), c.request, c.body)
				if handled != (c.status > 0) || response.Status != c.status || (response.RetryAfter > 0) != (c.status == 503) {
					t.Errorf("%v %d %s", handled, response.Status, response.Body)
				}
				want := ""
				if c.status == 202 {
					want = `h: 1700000000000 INFO m {body_key=short_message host=h input=gelf}`
				}
				if got := s.NewText(); got != want {
					t.Errorf("%s", got)
				}
			})
		})
	}
}

// A record with a timestamp that comes again is a duplicate. One that gets the time of its arrival,
// for want of a timestamp or because of one in the first millisecond of 1970, is not.
func TestRepeatedRecord(t *testing.T) {
	s := new(protocoltest.System).Start(t, "gelf")
	p := New(s.Receiver)
	for _, body := range []string{`{"timestamp":1700000000}`, `{"timestamp":1700000000}`, `{}`, `{}`, `{"timestamp":0.0000005}`, `{"timestamp":0.0000005}`} {
		s.Do(p, "POST /gelf", body)
	}
	ids := s.PacketIDs()
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 {
		t.Errorf("%q", ids)
	}
}

// Records may follow each other in a request, with or without white space between them. One that
// is no object is rejected; what is no JSON ends the request, of which the records before are
// accepted.
func TestSeveralRecords(t *testing.T) {
	const (
		first  = `{"host":"h","short_message":"m","timestamp":1700000000}`
		second = `{"host":"h","short_message":"n","level":3,"timestamp":1700000001}`
		one    = "h: 1700000000000 INFO m {body_key=short_message host=h input=gelf}"
		both   = one + "\nh: 1700000001000 ERROR n {body_key=short_message host=h input=gelf severity_text=3}"
	)
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		first + "\n" + second + "\n":       {202, both},
		first + second:                     {202, both},
		first + "\n" + second + "\nx":      {400, both},
		first + "\n" + `["m"]` + second:    {202, both},
		first + "\n" + second[:20]:         {400, one},
		" \n" + first + " " + second:       {202, both},
		"[" + first + "," + second + "]":   {400, ""},
		"[" + first + "," + second + "] x": {400, ""},
		"x" + first:                        {400, ""},
	} {
		s := new(protocoltest.System).Start(t, "gelf")
		p := New(s.Receiver)
		for range 2 { // the second is a duplicate
			if response, _ := s.Do(p, "POST /gelf", body); response.Status != want.status {
				t.Errorf("%q: %d %s", body, response.Status, response.Body)
			}
		}
		if got := s.NewText(); got != want.text {
			t.Errorf("%q became %s", body, got)
		}
	}
}

func TestLargeRecord(t *testing.T) {
	record := func(text string) string { return `{"timestamp":1700000000,"short_message":"` + text + `"}` }
	protocoltest.RejectedRecord{
		Reason:   problem.TooLarge,
		Protocol: "gelf", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Request: "POST /gelf", Success: http.StatusAccepted,
		Alone: record("%s"), Among: record("one") + record("%s") + "\n" + record("two"),
		Others: "192.0.2.1: 1700000000000 INFO one {body_key=short_message input=gelf}\n192.0.2.1: 1700000000000 INFO two {body_key=short_message input=gelf}",
	}.Check(t)
}

func TestMalformedRecord(t *testing.T) {
	record := func(text string) string { return `{"timestamp":1700000000,"short_message":"` + text + `"}` }
	protocoltest.RejectedRecord{
		Protocol: "gelf", New: func(r *receiver.Receiver) receiver.HTTP { return New(r) }, Request: "POST /gelf", Success: http.StatusAccepted,
		Reason: problem.Malformed, Alone: `"three"`, Among: record("one") + `"three"` + record("two"),
		Others: "192.0.2.1: 1700000000000 INFO one {body_key=short_message input=gelf}\n192.0.2.1: 1700000000000 INFO two {body_key=short_message input=gelf}",
	}.Check(t)
}
