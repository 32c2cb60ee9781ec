package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// greedyJournal takes packets and at once scribbles over them and gives them
// back, so that whoever touches one after Append is found out.
type greedyJournal struct {
	mu         sync.Mutex
	taken      []record
	most       int // packets; 0 is any number
	limitBytes int // of Room; 0 is any number
	roomErr    error
	putErr     error
	noRoomFor  string // a packet's id
	needed     int    // the most that CheckCapacity was asked for and said yes to
	// entered, unless nil, gets a value when Append is called, which then waits
	// for one from gate.
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
		if j.most > 0 && len(j.taken) >= j.most || j.noRoomFor != "" && j.noRoomFor == string(p.PacketID.Raw(p.Body)) {
			return i, journal.ErrFull
		}
		j.taken = append(j.taken, record{
			string(p.Body), string(p.PacketID.AppendDecoded(nil, p.Body)), p.Traceparent, p.Messages, p.DeliveryChan,
		})
		for b := range p.Body {
			p.Body[b] = '#'
		}
		p.Release()
	}
	return len(packets), nil
}

// AppendAsync waits in a goroutine if it has to.
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
	if j.roomErr != nil {
		return j.roomErr
	}
	if j.limitBytes > 0 && bytes > j.limitBytes {
		return journal.ErrFull
	}
	j.needed = max(j.needed, bytes)
	return nil
}

func (j *greedyJournal) records() []record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]record(nil), j.taken...)
}

// fixture is a handler served on a loopback listener.
type fixture struct {
	*testing.T
	handler *Handler
	journal *greedyJournal
	addr    string
}

type options struct {
	config    Config
	timeouts  Timeouts
	refuseAll bool // no analyzer
	change    func(*Dependencies)
}

func standard() options {
	config := Config{MemoryBytes: 1 << 30, MaxBodyBytes: 1 << 20, MaxPacketMessages: 100, Ack: AckQueued, AckTimeout: time.Minute, MaxConnections: 1 << 15}
	return options{config: config, timeouts: DefaultTimeouts()}
}

func newHandler(t testing.TB, o options, j Journal) *Handler {
	t.Helper()
	deps := Dependencies{
		Journal: j, Pool: &packet.Pool{}, Registerer: prometheus.NewRegistry(), Logger: discard(),
		Accepting:  func() bool { return !o.refuseAll },
		RetryAfter: func(problem.Code) time.Duration { return 1500 * time.Millisecond },
	}
	if o.change != nil {
		o.change(&deps)
	}
	handler, err := New(o.config, deps)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// serve starts a server that ends with the test, when nothing may be left of
// what the requests held.
func serve(t *testing.T, o options) *fixture {
	t.Helper()
	f := &fixture{T: t, journal: &greedyJournal{}}
	f.handler = newHandler(t, o, f.journal)
	t.Cleanup(func() { // after the server has stopped
		if left := f.handler.bodies.reading.Load(); left != 0 {
			t.Errorf("%d bytes of requests are still counted as held", left)
		}
	})
	f.addr = listenAndServe(t, f.handler, o.timeouts)
	return f
}

func listenAndServe(t testing.TB, h *Handler, timeouts Timeouts) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := h.Serve(listener, fixtureRoutes(h), timeouts, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		// The context of a test is cancelled before its cleanups run.
		if err := server.Stop(contextOf(t)); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// fixtureRoutes are /ingest, and /other, which reads no body.
func fixtureRoutes(h *Handler) Routes {
	return func(r *Request, to *Response) {
		switch r.Path {
		case "/ingest":
			h.Handle(r, to)
		case "/other":
			to.JSON(http.StatusOK, []byte("other"))
		default:
			h.Refuse(to, problem.Problem{Code: problem.NotFound, Detail: "there is /ingest"}, "")
		}
	}
}

// requestOf returns a request with that body, whose head has these lines besides.
func requestOf(t testing.TB, body io.Reader, length int, lines ...string) (*Request, bool) {
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
	return NewRequest(&head, body, netip.Addr{}, time.Now()), true
}

// stoppable is a fixture whose server the test stops.
func stoppable(t *testing.T, j Journal) (*fixture, *Server) {
	t.Helper()
	h := newHandler(t, standard(), j)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := h.Serve(listener, h.Handle, DefaultTimeouts(), discard())
	return &fixture{T: t, handler: h, addr: listener.Addr().String()}, server
}

// dial opens a connection that ends with the test.
func (f *fixture) dial() *client {
	f.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	f.Cleanup(func() { _ = conn.Close() })
	return &client{f, conn, bufio.NewReader(conn)}
}

// client speaks HTTP by hand.
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

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

func (c *client) answer() answer {
	c.Helper()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.Fatalf("no answer: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.Fatalf("no whole answer: %v", err)
	}
	return answer{response, string(text)}
}

// exchange sends one request on its own connection.
func (f *fixture) exchange(request string) answer {
	f.Helper()
	c := f.dial()
	c.send(request)
	return c.answer()
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

// chunked makes a request whose body comes in chunks of that size.
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

// aPacket is a packet of at least that many bytes.
func aPacket(id string, size int) string {
	const form = `{"emitter_id":"e","packet_id":%q,"messages":[{"timestamp":1,"level":"INFO","message":"m%s"}]}`
	text := fmt.Sprintf(form, id, "")
	return fmt.Sprintf(form, id, strings.Repeat("x", max(size-len(text), 0)))
}

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

// wantRefusal checks an answer against the contract's table.
func (a answer) wantRefusal(t testing.TB, status int, code problem.Code) refusal {
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

func (a answer) wantAccepted(t testing.TB, id string) {
	t.Helper()
	want := `{"status":"accepted","packet_id":"` + id + `"}`
	if a.StatusCode != http.StatusAccepted || a.text != want || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %q, want 202 %s", a.StatusCode, a.Header.Get("Content-Type"), a.text, want)
	}
}

// wantCounted checks that refusals were counted for these reasons and no other.
func (f *fixture) wantCounted(want map[problem.Code]int) {
	f.Helper()
	for _, code := range problem.Refusals() {
		if got := int(testutil.ToFloat64(f.handler.metrics.refused[code])); got != want[code] {
			f.Errorf("refused %s: %d, want %d", code, got, want[code])
		}
	}
}

// wantRetryAfter checks that so many seconds are named, or up to half as many
// more.
func (a answer) wantRetryAfter(t testing.TB, least int) {
	t.Helper()
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < least || seconds > least+least/2 {
		t.Errorf("Retry-After is %q, want %d and up to half as much more", a.Header.Get("Retry-After"), least)
	}
}

// asking sends a request on a connection of its own and hands over the answer
// when it comes.
func (f *fixture) asking(request string) <-chan answer {
	f.Helper()
	c := f.dial()
	c.send(request)
	answered := make(chan answer, 1)
	go func() { answered <- c.answer() }()
	return answered
}

// withAck makes a request ask for a level.
func withAck(ack, request string) string {
	return strings.Replace(request, "/ingest", "/ingest?ack="+ack, 1)
}

// named gives the packet p an id, as it is written in JSON.
func named(id, body string) string {
	return strings.Replace(body, `"packet_id":"p"`, `"packet_id":"`+id+`"`, 1)
}

// by makes the packet of another emitter.
func by(emitter, body string) string {
	return strings.Replace(body, `"emitter_id":"e"`, `"emitter_id":"`+emitter+`"`, 1)
}
