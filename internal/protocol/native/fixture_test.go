package native

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/server"
)

// greedyJournal takes packets, overwrites them at once and releases them, so that any use of a
// packet after Append is detected.
type greedyJournal struct {
	mu            sync.Mutex
	taken         []record
	limitPackets  int // 0 is any number
	limitBytes    int // of CheckCapacity; 0 is any number
	capacityErr   error
	putErr        error
	noCapacityFor string // a packet's id
	keeps         bool   // leaves packets unchanged and does not release them
	kept          []*packet.Packet
	needed        int // the maximum that CheckCapacity was asked for and granted
	// entered, if it is not nil, gets a value when Append is called, which then waits for a value
	// from gate.
	entered, gate chan struct{}
}

type record struct {
	body, packetID, traceparent string
	messages                    int
	receipt                     chan<- packet.DeliveryResult
}

func (j *greedyJournal) Append(packets []*packet.Packet) (int, error) {
	if j.entered != nil {
		j.entered <- struct{}{}
		<-j.gate
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, p := range packets {
		if j.putErr != nil {
			return i, j.putErr
		}
		if j.limitPackets > 0 && len(j.taken) >= j.limitPackets || j.noCapacityFor != "" && j.noCapacityFor == string(p.PacketID.Raw(p.Body)) {
			return i, journal.ErrFull
		}
		j.taken = append(j.taken, record{
			string(p.Body), string(p.PacketID.AppendDecoded(nil, p.Body)), p.Traceparent, p.Messages, p.DeliveryChan,
		})
		if j.keeps {
			j.kept = append(j.kept, p)
			continue
		}
		for b := range p.Body {
			p.Body[b] = '#'
		}
		p.Release()
	}
	return len(packets), nil
}

// AppendAll is not used by this protocol.
func (*greedyJournal) AppendAll([]*packet.Packet) error { return journal.ErrUnwritable }

// AppendAsync waits in a goroutine if it must wait.
func (j *greedyJournal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (int, bool, error) {
	if j.entered == nil {
		taken, err := j.Append(packets)
		return taken, false, err
	}
	go func() {
		_, err := j.Append(packets)
		w.OnCommit(err)
	}()
	return len(packets), true, nil
}

func (j *greedyJournal) CheckCapacity(bytes int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.capacityErr != nil {
		return j.capacityErr
	}
	if j.limitBytes > 0 && bytes > j.limitBytes {
		return journal.ErrFull
	}
	j.needed = max(j.needed, bytes)
	return nil
}

func (*greedyJournal) Fits(int) bool { return true }

func (j *greedyJournal) records() []record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]record(nil), j.taken...)
}

// fixture is a handler served on a loopback listener.
type fixture struct {
	*testing.T
	handler *Protocol
	journal *greedyJournal
	window  *dedupe.Window // nil: none
	addr    string
}

type options struct {
	native    Config
	intake    intake.Config
	server    server.Config
	refuseAll bool           // no analyzer
	window    *dedupe.Window // of duplicates
	tokens    func() *credential.Set
	change    func(*intake.Dependencies)
}

func standard() options {
	return options{
		native: Config{MaxBodyBytes: 1 << 20, MaxPacketMessages: 100},
		intake: intake.Config{MemoryBytes: 1 << 30, Ack: intake.AckQueued, AckTimeout: time.Minute},
		server: server.Config{MaxConnections: 1 << 15, Timeouts: server.DefaultTimeouts()},
	}
}

func newHandler(t testing.TB, o options, j intake.Journal) *Protocol {
	t.Helper()
	deps := intake.Dependencies{
		Journal: j, Pool: &packet.Pool{}, ProtocolReasons: Reasons(), Duplicates: o.window, Logger: discard(),
		Accepting:  func() bool { return !o.refuseAll },
		RetryAfter: func(intake.Reason) time.Duration { return 1500 * time.Millisecond },
	}
	if o.change != nil {
		o.change(&deps)
	}
	handler, err := New(o.native, intake.New(o.intake, deps), o.tokens, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// serve starts a server that ends with the test; then no request may hold memory.
func serve(t *testing.T, o options) *fixture {
	t.Helper()
	f := &fixture{T: t, journal: &greedyJournal{}, window: o.window}
	f.handler = newHandler(t, o, f.journal)
	t.Cleanup(func() { // after the server has stopped
		if left := f.handler.memory.Held(); left != 0 {
			t.Errorf("%d bytes of requests are still counted as held", left)
		}
	})
	f.addr = listenAndServe(t, f.handler, o.server)
	return f
}

func listenAndServe(t testing.TB, h *Protocol, config server.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := serveOn(listener, h, config)
	t.Cleanup(func() {
		// The context of a test is cancelled before its cleanups run.
		if err := server.Stop(contextOf(t)); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// serveOn starts a server with the routes of the tests.
func serveOn(l net.Listener, h *Protocol, config server.Config) *server.Server {
	return server.Serve(l, config, server.Dependencies{Routes: fixtureRoutes(h), Protocol: h, Logger: discard()})
}

// fixtureRoutes are /ingest, and /other, which reads no body.
func fixtureRoutes(h *Protocol) func(*server.Request, *http1.Response) {
	return func(r *server.Request, to *http1.Response) {
		switch r.Path {
		case "/ingest":
			h.Handle(r, to)
		case "/other":
			to.SetJSON(http.StatusOK, []byte("other"))
		default:
			h.Refuse(to, problem.Problem{Code: problem.NotFound, Detail: "there is /ingest"}, "")
		}
	}
}

// requestOf returns a request with a body and with these lines in its head.
func requestOf(t testing.TB, body io.Reader, length int, lines ...string) (*server.Request, bool) {
	t.Helper()
	framing := "Transfer-Encoding: chunked"
	if length >= 0 {
		framing = fmt.Sprintf("Content-Length: %d", length)
	}
	text := "POST /ingest HTTP/1.1\r\nHost: test\r\n" + strings.Join(append(lines, framing), "\r\n") + "\r\n\r\n"
	head, err := http1.Parse([]byte(text), len(text)+1)
	if err != nil {
		return nil, false
	}
	return server.NewRequest(&head, body, netip.Addr{}, time.Now()), true
}

// stoppable is a fixture whose server the test stops.
func stoppable(t *testing.T, o options, j intake.Journal) (*fixture, *server.Server) {
	t.Helper()
	return stoppableLogged(t, o, j, discard())
}

func stoppableLogged(t *testing.T, o options, j intake.Journal, logger *slog.Logger) (*fixture, *server.Server) {
	t.Helper()
	h := newHandler(t, o, j)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.Serve(listener, o.server, server.Dependencies{Routes: fixtureRoutes(h), Protocol: h, Logger: logger})
	return &fixture{T: t, handler: h, addr: listener.Addr().String()}, s
}

// untilNobodyListens waits until a stop has closed the listener.
func (f *fixture) untilNobodyListens() {
	for {
		conn, err := net.Dial("tcp", f.addr)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
}

// openOn returns the number of open connections.
func openOn(s *server.Server) int {
	loops, goroutines := s.Connections()
	return loops + goroutines
}

// dial opens a connection that ends with the test.
func (f *fixture) dial() *client {
	f.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	f.Cleanup(func() { _ = conn.Close() })
	return &client{f, conn, bufio.NewReader(conn)}
}

// client writes and reads HTTP as text.
type client struct {
	*fixture
	conn   net.Conn
	reader *bufio.Reader
}

func (c *client) send(parts ...string) {
	c.Helper()
	for _, part := range parts {
		if _, err := io.WriteString(c.conn, part); err != nil {
			c.Fatal(err)
		}
	}
}

// ends checks that the connection ends without another byte.
func (c *client) ends() {
	if n, err := io.Copy(io.Discard, c.reader); n > 0 || err != nil {
		c.Errorf("%d bytes come, and then %v", n, err)
	}
}

// response is a response.
type response struct {
	*http.Response
	text string
}

func (c *client) readResponse() response {
	c.Helper()
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.Fatalf("no response: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatalf("no whole response: %v", err)
	}
	return response{resp, string(text)}
}

// exchange sends one request on a connection of its own.
func (f *fixture) exchange(request string) response {
	f.Helper()
	c := f.dial()
	c.send(request)
	return c.readResponse()
}

// post makes a request; each header is a whole line without its end.
func post(body string, headers ...string) string {
	var b strings.Builder
	b.WriteString("POST /ingest HTTP/1.1\r\nHost: test\r\n")
	for _, header := range headers {
		b.WriteString(header + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// chunked makes a request whose body is in chunks of that size.
func chunked(body string, size int, headers ...string) string {
	var b strings.Builder
	b.WriteString("POST /ingest HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n")
	for _, header := range headers {
		b.WriteString(header + "\r\n")
	}
	b.WriteString("\r\n")
	for rest := []byte(body); len(rest) > 0; {
		n := min(size, len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// aPacket returns a packet of at least that many bytes.
func aPacket(id string, size int) string {
	const form = `{"emitter_id":"e","packet_id":%q,"messages":[{"timestamp":1,"level":"INFO","message":"m%s"}]}`
	text := fmt.Sprintf(form, id, "")
	return fmt.Sprintf(form, id, strings.Repeat("x", max(size-len(text), 0)))
}

// These values are package body's: the memory that a body holds before a part has arrived, the
// factor of the arrived bytes, the first buffer of a decoded body, and the window of zstd.
const (
	uploadStart  = 4 << 10
	uploadFactor = 8
	firstBuffer  = 64 << 10
	zstdWindow   = 8 << 20
)

// maxHead is the limit of package server.
const maxHead = 8 << 10

const (
	jsonType  = "Content-Type: application/json"
	linesType = "Content-Type: application/x-ndjson"
)

// refusal is a problem document.
type refusal struct {
	Type, Title, Detail, Code string
	Status                    int
	PacketID                  string `json:"packet_id"`
	Refused                   []refusedLine
}

type refusedLine struct {
	Line         int
	PacketID     string `json:"packet_id"`
	Code, Detail string
}

// wantRefusal checks a response against the contract's table.
func (a response) wantRefusal(t testing.TB, status int, code problem.Code) refusal {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d; %.500s", a.StatusCode, status, a.text)
	}
	if got := a.Header.Get("Content-Type"); got != problem.ContentType {
		t.Errorf("Content-Type %q", got)
	}
	var r refusal
	decoder := json.NewDecoder(bytes.NewReader([]byte(a.text)))
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%q: %v", a.text, err)
	}
	if r.Code != string(code) || r.Status != status || r.Type == "" || r.Title == "" || r.Detail == "" {
		t.Errorf("problem %+v, want code %s", r, code)
	}
	if status == http.StatusServiceUnavailable {
		if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
	}
	return r
}

func (a response) wantAccepted(t testing.TB, id string) {
	t.Helper()
	want := `{"status":"accepted","packet_id":"` + id + `"}`
	if a.StatusCode != http.StatusAccepted || a.text != want || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %q, want 202 %s", a.StatusCode, a.Header.Get("Content-Type"), a.text, want)
	}
}

// wantCounted checks that refusals were counted for these reasons only.
func (f *fixture) wantCounted(want map[problem.Code]int) {
	f.Helper()
	for _, code := range problem.Refusals() {
		if got := int(f.handler.intake.Refused(string(code))); got != want[code] {
			f.Errorf("refused %s: %d, want %d", code, got, want[code])
		}
	}
}

// wantRetryAfter checks that Retry-After is that many seconds, or up to half as many more.
func (a response) wantRetryAfter(t testing.TB, minSeconds int) {
	t.Helper()
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < minSeconds || seconds > minSeconds+minSeconds/2 {
		t.Errorf("Retry-After is %q, want %d and up to half as much more", a.Header.Get("Retry-After"), minSeconds)
	}
}

// wantWaitOfALimit checks that Retry-After is the rest of the wait for a limit that was reached a
// moment ago.
func (a response) wantWaitOfALimit(t testing.TB, after time.Time, wait time.Duration) {
	t.Helper()
	minSeconds := int(math.Ceil((wait - time.Since(after)).Seconds()))
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < minSeconds || seconds > int(wait.Seconds()) {
		t.Errorf("Retry-After is %q, want %d to %v", a.Header.Get("Retry-After"), minSeconds, wait.Seconds())
	}
}

// asking sends a request on a connection of its own and returns a channel for the response.
func (f *fixture) asking(request string) <-chan response {
	f.Helper()
	c := f.dial()
	c.send(request)
	answered := make(chan response, 1)
	go func() { answered <- c.readResponse() }()
	return answered
}

// withAck adds the level of acknowledgement to a request.
func withAck(ack, request string) string {
	return strings.Replace(request, "/ingest", "/ingest?ack="+ack, 1)
}

// named gives the packet p an id, in its JSON form.
func named(id, body string) string {
	return strings.Replace(body, `"packet_id":"p"`, `"packet_id":"`+id+`"`, 1)
}

// by replaces the emitter of the packet.
func by(emitter, body string) string {
	return strings.Replace(body, `"emitter_id":"e"`, `"emitter_id":"`+emitter+`"`, 1)
}
