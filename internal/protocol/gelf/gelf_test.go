package gelf

import (
	"testing"
	"testing/synctest"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
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
				if got := s.Messages(); got != want {
					t.Errorf("%s", got)
				}
			})
		})
	}
}

// A record with a timestamp that comes again is a duplicate.
func TestRepeatedRecord(t *testing.T) {
	s := new(protocoltest.System).Start(t, "gelf")
	p := New(s.Receiver)
	for _, body := range []string{`{"timestamp":1700000000}`, `{"timestamp":1700000000}`, `{}`, `{}`} {
		s.Do(p, "POST /gelf", body)
	}
	if ids := s.PacketIDs(); len(ids) != 3 || ids[1] == ids[2] {
		t.Errorf("%q", ids)
	}
}
