package receiver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

const token = "0123456789abcdef"

type fixture struct {
	*testing.T
	*Receiver
	journal *memory.Journal
	metrics *Metrics
	log     bytes.Buffer

	intakeLog bytes.Buffer
}

// newFixture returns a receiver with tokens that may send as web-*.
func newFixture(t *testing.T, tokens bool) *fixture {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 1000}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, journal: memory.New(memory.Config{QueuePackets: 3, LimitBytes: 1 << 20})}
	in := intake.New(intake.Config{MemoryBytes: 1 << 20, Ack: intake.AckQueued, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: f.journal, Pool: new(packet.Pool), Accepting: func() bool { return true }, InputDuplicates: window,
		RetryAfter: func(intake.Reason) time.Duration { return time.Second }, Logger: slog.New(slog.NewTextHandler(&f.intakeLog, nil)),
		ProtocolReasons: func() (reasons []string) {
			for _, code := range problem.Refusals() {
				reasons = append(reasons, string(code))
			}
			return reasons
		}(),
	})
	t.Cleanup(func() {
		if held := in.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	if f.metrics, err = NewMetrics(prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	deps := Dependencies{Intake: in, Metrics: f.metrics, Logger: slog.New(slog.NewTextHandler(&f.log, nil)), Limits: func() record.Limits { return record.Limits{Bytes: 1 << 20, Messages: 1} }}
	if tokens {
		sum := sha256.Sum256([]byte(token))
		set, err := credential.Parse(fmt.Appendf(nil, "web sha256:%x emitters=web-*\n", sum), credential.Emitters)
		if err != nil {
			t.Fatal(err)
		}
		deps.Tokens = func() *credential.Set { return set }
	}
	s, err := NewService(Config{MaxBodyBytes: 100}, deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Receiver = s.Receiver("test-http", "test")
	return f
}

func (f *fixture) request(body string, fields ...string) *server.Request {
	f.Helper()
	text := fmt.Sprintf("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n", len(body))
	for _, field := range fields {
		text += field + "\r\n"
	}
	head, err := http1.Parse([]byte(text+"\r\n"), 8<<10)
	if err != nil {
		f.Fatalf("%v: %q", err, text)
	}
	return server.NewRequest(&head, strings.NewReader(body), netip.MustParseAddr("192.0.2.1"), time.Now())
}

func codeOf(p *problem.Problem) problem.Code {
	if p == nil {
		return ""
	}
	return p.Code
}

func TestTokens(t *testing.T) {
	f := newFixture(t, true)
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for authorization, valid := range map[string]bool{
		"Bearer " + token: true, "Splunk " + token: true, "ApiKey " + token: true,
		"ApiKey " + encoded("id:"+token): true, "basic " + encoded("any:"+token): true,
		"Basic " + encoded(token+":"): false, "Other " + token: false, "Bearer wrong": false, "Bearer": false, "": false,
	} {
		r := f.request("", "Authorization: "+authorization)
		from, why := f.Authenticate(r)
		if (why == nil) != valid || valid && from.Principal.Name != "web" {
			t.Errorf("%q: %+v, %+v", authorization, from, why)
		}
	}
	for range 10 {
		_, why := f.Authenticate(f.request(""))
		if codeOf(why) == problem.TooManyFailures {
			if log := f.intakeLog.String(); !strings.Contains(log, "without a valid token") || !strings.Contains(log, "address=192.0.2.1") {
				t.Errorf("the address is not logged: %s", log)
			}
			return
		}
	}
	t.Error("failures are not limited")
}

func (f *fixture) packets(emitters ...string) *record.Packets {
	f.Helper()
	p := f.NewPackets(f.Context(), nil)
	var m record.Message
	for _, emitter := range emitters {
		m.Begin(1)
		m.SetBody([]byte("text"))
		if err := p.Group([]byte(emitter)).Add(&m); err != nil {
			f.Fatal(err)
		}
	}
	return p
}

func TestAccept(t *testing.T) {
	f := newFixture(t, true)
	principal := f.Principals().Token([]byte(token))
	from := Sender{Principal: principal}
	if why := f.Accept(t.Context(), from, f.packets("web-1", "other"), ID{Text: "id", Repeatable: true}); codeOf(why) != problem.EmitterNotAllowed {
		t.Errorf("an emitter that is not allowed: %+v", why)
	}
	if why := f.Accept(t.Context(), from, f.packets("web-1", "web-2"), ID{Text: "id", Repeatable: true}); why != nil {
		t.Errorf("%+v", why)
	}
	if why := f.Accept(t.Context(), from, f.packets("web-1", "web-2"), ID{Text: "id", Repeatable: true}); why != nil {
		t.Errorf("a request that comes again: %+v", why)
	}
	ctx, cancel := WithCapacityTimeout()
	cancel() // the request does not wait
	if why := f.Accept(ctx, from, f.packets("web-1", "web-2"), ID{Text: "other", Repeatable: true}); codeOf(why) != problem.Overloaded || why.RetryAfter < 1 {
		t.Errorf("without capacity: %+v", why)
	}
	if why := f.Accept(t.Context(), from, f.packets(), ID{Text: "none", Repeatable: true}); why != nil {
		t.Errorf("nothing: %+v", why)
	}
	fetched, err := f.journal.Fetch(t.Context(), nil, 10)
	if err != nil || len(fetched) != 2 || fetched[0].Principal != "web" {
		t.Errorf("the journal has %d packets, %v", len(fetched), err)
	}
	for name, want := range map[*prometheus.CounterVec]float64{f.metrics.packets: 2, f.metrics.records: 2, f.metrics.duplicates: 2} {
		if got := testutil.ToFloat64(name.WithLabelValues("test-http")); got != want {
			t.Errorf("a counter is %v, want %v", got, want)
		}
	}
	for code, want := range map[problem.Code]float64{problem.Overloaded: 1, problem.EmitterNotAllowed: 1} {
		if got := testutil.ToFloat64(f.metrics.refused.WithLabelValues("test-http", string(code))); got != want {
			t.Errorf("%v requests are refused as %s, want %v", got, code, want)
		}
	}
}

func TestRead(t *testing.T) {
	f := newFixture(t, false)
	body, why := f.Read(t.Context(), f.request("body"))
	if why != nil || string(body.Body) != "body" {
		t.Fatalf("%+v", why)
	}
	f.Release(body)
	if _, why := f.Read(t.Context(), f.request(strings.Repeat("x", 101))); codeOf(why) != problem.TooLarge || why.Code.Status() != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %+v", why)
	}
	if from, why := f.Authenticate(f.request("")); why != nil || from.Principal != nil || from.Client.String() != "192.0.2.1" {
		t.Errorf("without tokens: %+v, %+v", from, why)
	}
}

func TestDecodeBlock(t *testing.T) {
	f := newFixture(t, false)
	body, why := f.DecodeBlock(snappy.Encode(nil, []byte("body")))
	if why != nil || string(body.Body) != "body" {
		t.Fatalf("%+v", why)
	}
	f.Release(body)
	if _, why := f.DecodeBlock([]byte("\x04broken")); codeOf(why) != problem.Malformed {
		t.Errorf("a broken block: %+v", why)
	}
}

func TestIDs(t *testing.T) {
	f := newFixture(t, true)
	from := Sender{Principal: f.Principals().Token([]byte(token))}
	id := f.ContentID(from, "/x", []byte("body"))
	if !strings.HasPrefix(id.Text, "test-") || len(id.Text) != len("test-")+2*hashBytes || !id.Repeatable || f.ContentID(from, "/x", []byte("body")) != id {
		t.Errorf("the id is %+v", id)
	}
	for _, other := range []ID{
		f.ContentID(Sender{}, "/x", []byte("body")), f.ContentID(from, "/y", []byte("body")), f.ContentID(from, "/x", []byte("else")),
		f.ContentID(from, "/xb", []byte("ody")), f.SequenceID(), f.SequenceID(),
	} {
		if other == id {
			t.Errorf("%+v comes twice", id)
		}
	}
	if first := f.SequenceID(); first == f.SequenceID() {
		t.Error("a sequence id comes twice")
	}
}

// Packets count as accepted also if their delivery is not known in time.
func TestUndelivered(t *testing.T) {
	f := newFixture(t, false)
	config := *f.service.deps.Intake.Config()
	config.Ack, config.AckTimeout = intake.AckDelivered, time.Millisecond
	f.service.deps.Intake.Configure(config)
	if why := f.Accept(t.Context(), Sender{}, f.packets("a", "b"), ID{Text: "id", Repeatable: true}); codeOf(why) != problem.AckTimeout {
		t.Errorf("%+v", why)
	}
	if why := f.Accept(t.Context(), Sender{}, f.packets("a", "b"), ID{Text: "id", Repeatable: true}); why != nil {
		t.Errorf("a request that comes again: %+v", why)
	}
	for name, want := range map[*prometheus.CounterVec]float64{f.metrics.packets: 2, f.metrics.records: 2, f.metrics.duplicates: 2} {
		if got := testutil.ToFloat64(name.WithLabelValues("test-http")); got != want {
			t.Errorf("a counter is %v, want %v", got, want)
		}
	}
}

// A refusal that permits a repetition has a status after which clients of other systems repeat
// requests; they do not after 408 and 504.
func TestStatusOf(t *testing.T) {
	for code, want := range map[problem.Code]int{
		problem.SlowRequest: 503, problem.AckTimeout: 503, problem.Overloaded: 503, problem.NoAnalyzer: 503, problem.RateLimited: 429,
		problem.TooLarge: 413, problem.Malformed: 400, problem.UnsupportedEncoding: 400,
	} {
		if got := StatusOf(&problem.Problem{Code: code}); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

// Rejected records are logged once, and again after a minute without any.
func TestRejectionsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		reject := func(code problem.Code, records, lines int) {
			t.Helper()
			f.Reject(code, records, "emitter_id", "web-1")
			if got := strings.Count(f.log.String(), "records are rejected"); got != lines {
				t.Errorf("%d lines, want %d: %s", got, lines, f.log.String())
			}
		}
		reject(problem.TooLarge, 0, 0)
		reject(problem.TooLarge, 2, 1)
		for range 3 {
			time.Sleep(time.Minute - time.Second)
			reject(problem.TooLarge, 1, 1)
		}
		reject(problem.Malformed, 1, 2)
		time.Sleep(time.Minute)
		reject(problem.TooLarge, 1, 3)
		if got := testutil.ToFloat64(f.metrics.rejected.WithLabelValues("test-http", string(problem.TooLarge))); got != 6 {
			t.Errorf("%v records were counted", got)
		}
		for _, part := range []string{"input=test-http", "reason=too_large", "records=2", "emitter_id=web-1"} {
			if !strings.Contains(f.log.String(), part) {
				t.Errorf("%s is not in %s", part, f.log.String())
			}
		}
	})
}

// Connections that are closed for one reason are logged once, and again after a minute without any.
func TestClosedConnectionsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, false)
		closed := func(code problem.Code, lines int) {
			t.Helper()
			f.LogClosed(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}, &problem.Problem{Code: code, Detail: "why"})
			if got := strings.Count(f.log.String(), "a connection is closed"); got != lines {
				t.Errorf("%d lines, want %d: %s", got, lines, f.log.String())
			}
		}
		closed(problem.Malformed, 1)
		for range 3 {
			time.Sleep(time.Minute - time.Second)
			closed(problem.Malformed, 1)
		}
		closed(problem.AckTimeout, 2)
		time.Sleep(time.Minute)
		closed(problem.Malformed, 3)
		for _, part := range []string{"input=test-http", "client=192.0.2.1:7", "reason=malformed", "detail=why"} {
			if !strings.Contains(f.log.String(), part) {
				t.Errorf("%s is not in %s", part, f.log.String())
			}
		}
	})
}

// The rejected records of an accepted request are counted and logged by their reason; those of a
// refused request are not.
func TestRejectedRecords(t *testing.T) {
	f := newFixture(t, false)
	accept := func(good int, err error) *problem.Problem {
		body, why := f.Read(t.Context(), f.request("body"))
		if why != nil {
			t.Fatal(why)
		}
		q := f.NewRequest(t.Context(), Sender{Client: netip.MustParseAddr("192.0.2.1")}, body)
		var m record.Message
		for range good {
			q.Begin(&m, 1e18)
			if err := q.Add(q.Packets.Group([]byte("web-1")), &m); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Reject(0, nil); err != nil || q.Rejected() != nil {
			t.Errorf("nothing is rejected: %v, %v", err, q.Rejected())
		}
		if unavailable := record.UnavailableError(intake.Overloaded); q.Reject(1, unavailable) != error(unavailable) {
			t.Error("a record is rejected for want of memory")
		}
		if err := q.Reject(2, errors.New("it has no text")); err != nil {
			t.Error(err)
		}
		return f.AcceptRequest(q, "/x", err)
	}
	rejected := f.metrics.rejected.WithLabelValues("test-http", string(problem.Malformed))
	for _, unread := range []error{nil, &UnreadError{2, errors.New("no JSON")}} {
		if why := accept(0, unread); codeOf(why) != problem.Malformed || why.Detail != "it has no text" || testutil.ToFloat64(rejected) != 0 {
			t.Errorf("alone, before %v: %+v", unread, why)
		}
	}
	if why := accept(1, errors.New("broken")); codeOf(why) != problem.Malformed || testutil.ToFloat64(rejected) != 0 {
		t.Errorf("in a malformed request: %+v", why)
	}
	if why := accept(1, nil); why != nil || testutil.ToFloat64(rejected) != 2 {
		t.Errorf("among others: %+v, %v", why, testutil.ToFloat64(rejected))
	}
	if why := accept(1, &UnreadError{3, errors.New("no JSON")}); codeOf(why) != problem.Malformed || why.Detail != "record 4: no JSON; the records before it are accepted" {
		t.Errorf("before what cannot be read: %+v", why)
	}
	for _, part := range []string{"reason=malformed", "records=2", "client=192.0.2.1", `error="it has no text"`} {
		if !strings.Contains(f.log.String(), part) {
			t.Errorf("%s is not in %s", part, f.log.String())
		}
	}
	if got := testutil.ToFloat64(f.metrics.records.WithLabelValues("test-http")); got != 1 {
		t.Errorf("%v records were accepted", got)
	}
}

// Clients that are to send a request again are told when.
func TestRetryAfterOf(t *testing.T) {
	for _, c := range []struct {
		why  problem.Problem
		want int
	}{
		{problem.Problem{Code: problem.SlowRequest}, 1},
		{problem.Problem{Code: problem.Overloaded, RetryAfter: 2}, 2},
		{problem.Problem{Code: problem.RateLimited, RetryAfter: 60}, 5},
		{problem.Problem{Code: problem.TooLarge}, 0},
	} {
		if got := RetryAfterOf(&c.why); got != c.want {
			t.Errorf("%+v: %d", c.why, got)
		}
	}
}
