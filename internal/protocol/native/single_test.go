package native

import (
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/problem"
)

func TestSingleAccepted(t *testing.T) {
	f := serve(t, standard())
	body := aPacket("p-1", 0)
	for name, request := range map[string]string{
		"json":             post(body, jsonType),
		"no type":          post(body),
		"charset":          post(body, "Content-Type: application/json; charset=utf-8"),
		"charset in upper": post(body, `Content-Type: Application/JSON;charset="UTF-8"`),
		"identity":         post(body, jsonType, "Content-Encoding: identity"),
		"chunked":          chunked(body, 7, jsonType),
		"one chunk":        chunked(body, 1<<20),
		"white space":      post("\n "+body+"\r\n", jsonType),
		"query":            strings.Replace(post(body), "/ingest", "/ingest?a=b", 1),
		"HTTP/1.0":         strings.Replace(post(body), "HTTP/1.1", "HTTP/1.0", 1),
	} {
		f.exchange(request).wantAccepted(t, "p-1")
		if records := f.journal.records(); records[len(records)-1].packetID != "p-1" {
			t.Errorf("%s: the journal has %+v", name, records[len(records)-1])
		}
	}
	f.wantCounted(nil)
}

// The journal releases the packet at once, so the response must not use its memory.
func TestResponseRepeatsIDAsSent(t *testing.T) {
	f := serve(t, standard())
	id := `\u00e9 \"quoted\" é`
	f.exchange(post(strings.Replace(aPacket("@", 0), "@", id, 1))).wantAccepted(t, id)
	if got := f.journal.records()[0].packetID; got != `é "quoted" é` {
		t.Errorf("packet id %q", got)
	}
}

func TestSingleBytesUnchanged(t *testing.T) {
	f := serve(t, standard())
	for _, size := range []int{0, 500, 512, 513, firstBuffer - 1, firstBuffer, firstBuffer + 1, 2 * firstBuffer, 1 << 20} {
		body := aPacket("p", size)
		f.exchange(post(body)).wantAccepted(t, "p")
		f.exchange(chunked(body, 10_000)).wantAccepted(t, "p")
		records := f.journal.records()
		if records[len(records)-1].body != body || records[len(records)-2].body != body {
			t.Errorf("a body of %d bytes was changed", len(body))
		}
	}
}

// refusedCase is a request that is refused; packetID is what the response repeats.
type refusedCase struct {
	name, request string
	status        int
	code          problem.Code
	packetID      string
}

func TestSingleRefused(t *testing.T) {
	f := serve(t, standard())
	counted := make(map[problem.Code]int)
	for _, c := range append(refusedBodies(), refusedRequests()...) {
		t.Run(c.name, func(t *testing.T) {
			response := f.exchange(c.request)
			if r := response.wantRefusal(t, c.status, c.code); r.PacketID != c.packetID {
				t.Errorf("packet_id %q, want %q", r.PacketID, c.packetID)
			}
			if c.status == http.StatusMethodNotAllowed && response.Header.Get("Allow") != "POST" {
				t.Errorf("Allow %q", response.Header.Get("Allow"))
			}
		})
		counted[c.code]++
	}
	f.wantCounted(counted)
	if len(f.journal.records()) > 0 {
		t.Error("a refused packet was taken")
	}
}

// refusedBodies are requests whose bodies are not one valid packet.
func refusedBodies() []refusedCase {
	body := aPacket("p-1", 0)
	return []refusedCase{
		{"empty", post(""), 400, problem.Malformed, ""},
		{"empty chunked", chunked("", 1), 400, problem.Malformed, ""},
		{"binary", post("\x00\xff\xfe\x80"), 400, problem.Malformed, ""},
		{"cut", post(body[:len(body)-2]), 400, problem.Malformed, "p-1"},
		{"garbage behind", post(body + "x"), 400, problem.Malformed, "p-1"},
		{"two packets", post(body + "\n" + body), 400, problem.Malformed, "p-1"},
		{"deep", post(`{"a":` + strings.Repeat("[", 100_000)), 400, problem.InvalidPacket, ""},
		{"no object", post("[]"), 400, problem.InvalidPacket, ""},
		{"empty level", post(strings.Replace(body, "INFO", "", 1)), 400, problem.InvalidPacket, "p-1"},
		{"wrong type", post(strings.Replace(body, `"timestamp":1`, `"timestamp":"1"`, 1)), 400, problem.InvalidPacket, "p-1"},
		{"no messages", post(`{"emitter_id":"e","packet_id":"p-1","messages":[]}`), 400, problem.InvalidPacket, "p-1"},
		{"many messages", post(manyMessages(101)), 413, problem.TooLarge, "many"},
	}
}

// refusedRequests are requests that are refused for their request line or header fields.
func refusedRequests() []refusedCase {
	body := aPacket("p-1", 0)
	return []refusedCase{
		{"no length", "POST /ingest HTTP/1.1\r\nHost: t\r\n\r\n", 400, problem.Malformed, ""},
		{"br", post(body, jsonType, "Content-Encoding: br"), 415, problem.UnsupportedEncoding, ""},
		{"two encodings", post(body, jsonType, "Content-Encoding: gzip, gzip"), 415, problem.UnsupportedEncoding, ""},
		{"unknown path", strings.Replace(post(body), "/ingest", "/nowhere", 1), 404, problem.NotFound, ""},
		{"GET", "GET /ingest HTTP/1.1\r\nHost: t\r\n\r\n", 405, problem.MethodNotAllowed, ""},
		{"PUT", strings.Replace(post(body), "POST", "PUT", 1), 405, problem.MethodNotAllowed, ""},
		{"no HTTP", "hello\r\n\r\n", 400, problem.Malformed, ""},
		{"bad length", "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", 400, problem.Malformed, ""},
		{"two lengths", post(body, "Content-Length: 1"), 400, problem.Malformed, ""},
		{"length and chunks", post(body, "Transfer-Encoding: chunked"), 400, problem.Malformed, ""},
		{"bad chunk", "POST /ingest HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, problem.Malformed, ""},
		{"huge header", post(body, "X-Large: "+strings.Repeat("x", 100_000)), 431, problem.TooLarge, ""},
	}
}

// Any media type but NDJSON means one packet, as existing emitters expect.
func TestAnyContentTypeIsAPacket(t *testing.T) {
	f := serve(t, standard())
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ";;;", "application/json; charset=latin1", ""} {
		f.exchange(post(aPacket("p", 0), "Content-Type: "+kind)).wantAccepted(t, "p")
	}
}

func TestRefusalNamesRuleAndPlace(t *testing.T) {
	f := serve(t, standard())
	r := f.exchange(post(strings.Replace(aPacket("p", 0), "INFO", "", 1))).wantRefusal(t, 400, problem.InvalidPacket)
	if !strings.Contains(r.Detail, "messages[0].level") || !strings.Contains(r.Detail, "byte") {
		t.Errorf("detail %q", r.Detail)
	}
}

func manyMessages(n int) string {
	one := `{"timestamp":1,"level":"INFO","message":"m"}`
	return `{"emitter_id":"e","packet_id":"many","messages":[` + strings.Repeat(one+",", n-1) + one + `]}`
}

func TestRetryableRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*fixture)
		code problem.Code
	}{
		{"draining", func(f *fixture) { f.handler.intake.Drain() }, problem.Draining},
		{"no capacity", func(f *fixture) { f.journal.capacityErr = journal.ErrFull }, problem.Overloaded},
		{"full", func(f *fixture) { f.journal.putErr = journal.ErrFull }, problem.Overloaded},
		{"disk refuses", func(f *fixture) { f.journal.putErr = journal.ErrUnwritable }, problem.JournalUnwritable},
		{"disk refuses early", func(f *fixture) { f.journal.capacityErr = journal.ErrUnwritable }, problem.JournalUnwritable},
		{"closed", func(f *fixture) { f.journal.putErr = journal.ErrClosed }, problem.Draining},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serve(t, standard())
			c.set(f)
			f.wantNotNow(c.code)
		})
	}
	t.Run("no analyzer", func(t *testing.T) {
		o := standard()
		o.refuseAll = true
		f := serve(t, o)
		f.wantNotNow(problem.NoAnalyzer)
	})
}

// wantNotNow sends a packet, and two packets as lines, on one connection.
func (f *fixture) wantNotNow(code problem.Code) {
	c := f.dial()
	body := aPacket("p", 0)
	c.send(post(body))
	a := c.readResponse()
	a.wantRefusal(f, 503, code)
	a.wantRetryAfter(f, 2) // 1.5 s, rounded up
	c.send(post(body+"\n"+body, linesType))
	c.readResponse().wantRefusal(f, 503, code)
	early := f.journal.putErr == nil
	if why := f.handler.Ready(); early != (why != nil && why.Code == code) {
		f.Errorf("ready: %+v", why)
	}
	count := 2 // a request that is refused before its body is read counts as one
	if !early {
		count = 3
	}
	f.wantCounted(map[problem.Code]int{code: count})
}

func TestReady(t *testing.T) {
	if why := newHandler(t, standard(), &greedyJournal{}).Ready(); why != nil {
		t.Errorf("not ready: %+v", why)
	}
}

func TestTraceparent(t *testing.T) {
	f := serve(t, standard())
	const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for header, passed := range map[string]bool{
		valid:                               true,
		"cc" + valid[2:]:                    true, // a future version
		"ff" + valid[2:]:                    false,
		strings.ToUpper(valid):              false,
		valid + "-x":                        false,
		valid[:54]:                          false,
		strings.Replace(valid, "-", "_", 1): false,
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01":                 false,
		"00-0af7651916cd43dd8448eb211c80319c-" + strings.Repeat("0", 16) + "-01": false,
		strings.Repeat("-", 55): false,
	} {
		f.exchange(post(aPacket("p", 0), "Traceparent: "+header)).wantAccepted(t, "p")
		records := f.journal.records()
		want := ""
		if passed {
			want = header
		}
		if got := records[len(records)-1].traceparent; got != want {
			t.Errorf("%q is passed on as %q", header, got)
		}
	}
}
