package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// lateJournal stores packets in a separate goroutine, in any order, and refuses packets whose ids
// say so.
type lateJournal struct{ sink }

func (j lateJournal) Append(packets []*packet.Packet) (int, error) {
	committed := make(waiter, 1)
	taken, pending, err := j.AppendAsync(packets, committed)
	if pending {
		if failure := <-committed; failure != nil {
			return 0, failure
		}
	}
	return taken, err
}

type waiter chan error

func (w waiter) OnCommit(err error) { w <- err }

func (lateJournal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (int, bool, error) {
	var err error
	taken := 0
	for _, p := range packets {
		if strings.HasPrefix(string(p.PacketID.Raw(p.Body)), "retryable") {
			err = journal.ErrFull
			break
		}
		taken++
	}
	if taken == 0 {
		return 0, false, err
	}
	go func() {
		if strings.HasPrefix(string(packets[0].PacketID.Raw(packets[0].Body)), "unwritable") {
			w.OnCommit(journal.ErrUnwritable)
			return
		}
		for _, p := range packets[:taken] {
			p.Release()
		}
		w.OnCommit(nil)
	}()
	return taken, true, err
}

// exchange is a request and the check of its response.
type exchange struct {
	request string
	want    func(response)
}

// exchanges returns requests of each kind; the first five are those that an emitter sends.
func exchanges(t *testing.T) []exchange {
	accepted := func(body string, id string) exchange {
		return exchange{post(body), func(a response) { a.wantAccepted(t, id) }}
	}
	text := func(want string) func(response) {
		return func(a response) {
			if a.text != want {
				t.Error(a.text)
			}
		}
	}
	return []exchange{
		accepted(aPacket("small", 0), "small"),
		accepted(aPacket("middle", 30_000), "middle"),
		accepted(aPacket("large", 300_000), "large"),
		{post("{}"), func(a response) { a.wantRefusal(t, 400, problem.InvalidPacket) }},
		{post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType), text(`{"status":"accepted","accepted":2}`)},
		{chunked(aPacket("chunks", 500), 100), func(a response) { a.wantAccepted(t, "chunks") }},
		{"GET /other HTTP/1.1\r\nHost: t\r\n\r\n", text("other")},
	}
}

// However a stream of requests is cut into pieces, each request is answered, in order.
func TestRequestsInPieces(t *testing.T) {
	f := serve(t, standard())
	kinds := exchanges(t)
	rapid.Check(t, func(r *rapid.T) {
		usual := rapid.IntRange(1, 6).Draw(r, "usual")
		var stream strings.Builder
		var wants []func(response)
		for i := range usual + rapid.IntRange(0, 2).Draw(r, "unusual") {
			kind := rapid.IntRange(0, len(kinds)-1)
			if i < usual {
				kind = rapid.IntRange(0, 4)
			}
			k := kinds[kind.Draw(r, "kind")]
			stream.WriteString(k.request)
			wants = append(wants, k.want)
		}
		c := f.dial()
		defer c.conn.Close()
		maxPiece := rapid.SampledFrom([]int{40, 400, 4000, 100_000}).Draw(r, "largest piece")
		pieces := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		var sending sync.WaitGroup
		sending.Go(func() { sendInPieces(t, c, stream.String(), maxPiece, pieces) })
		for _, want := range wants {
			want(c.readResponse())
		}
		sending.Wait()
	})
}

// sendInPieces sends a text in pieces of random sizes of at most maxPiece bytes.
func sendInPieces(t *testing.T, c *client, text string, maxPiece int, pieces *rand.Rand) {
	for len(text) > 0 {
		n := min(len(text), 1+pieces.IntN(maxPiece))
		if _, err := io.WriteString(c.conn, text[:n]); err != nil {
			t.Error(err)
			return
		}
		text = text[n:]
	}
}

// Many connections at once send packets that are stored, that exceed the capacity or that cannot be
// written: each gets its own response.
func TestManyConnections(t *testing.T) {
	o := standard()
	h := newHandler(t, o, lateJournal{})
	f := &fixture{T: t, handler: h, addr: listenAndServe(t, h, o.server)}
	t.Cleanup(func() {
		if left := h.memory.Held(); left != 0 {
			t.Errorf("%d bytes of requests are still counted as held", left)
		}
	})
	var clients sync.WaitGroup
	for n := range 60 {
		c := f.dial()
		clients.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("%s-%d-%d", []string{"stored", "retryable", "stored"}[(n+i)%3], n, i)
				if _, err := io.WriteString(c.conn, post(aPacket(id, i*20))); err != nil {
					t.Error(err)
					return
				}
				response, err := http.ReadResponse(c.reader, nil)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				want := 202
				if strings.HasPrefix(id, "retryable") {
					want = 503
				}
				if response.StatusCode != want || !strings.Contains(string(text), `"packet_id":"`+id+`"`) || err != nil {
					t.Errorf("%s: %d %s %v", id, response.StatusCode, text, err)
				}
			}
		})
	}
	clients.Wait()
	f.exchange(post(aPacket("unwritable", 0))).wantRefusal(t, 503, problem.JournalUnwritable)
}

// Packets that are being stored when the server stops get a response.
func TestStopWaitsForPackets(t *testing.T) {
	j := &greedyJournal{entered: make(chan struct{}), gate: make(chan struct{})}
	f, server := stoppable(t, standard(), j)
	busy, chunks := f.dial(), f.dial()
	busy.send(post(aPacket("busy", 0)))
	<-j.entered
	chunks.send(chunked(aPacket("chunks", 0), 50))
	<-j.entered
	var idle []*client // at least one for each event loop
	for range runtime.GOMAXPROCS(0) {
		c := f.dial()
		c.send(post("{}"))
		c.readResponse().wantRefusal(t, 400, problem.InvalidPacket)
		idle = append(idle, c)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop(contextOf(t)) }()
	for _, c := range idle { // until the stop does not wait for any other client
		_, _ = io.Copy(io.Discard, c.reader)
	}
	j.gate <- struct{}{}
	j.gate <- struct{}{}
	for id, c := range map[string]*client{"busy": busy, "chunks": chunks} {
		c.readResponse().wantAccepted(t, id)
		if n, err := io.Copy(io.Discard, c.reader); n != 0 || err != nil {
			t.Errorf("%d bytes after the last response, %v", n, err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// During a stop, a request on a connection is the last one.
func TestStopClosesConnectionsAfterNextResponse(t *testing.T) {
	o := standard()
	o.server.Timeouts.Stop = time.Hour
	f, server := stoppable(t, o, &greedyJournal{})
	loop, goroutine := f.dial(), f.dial()
	loop.wantReusable()
	goroutine.send(chunked(aPacket("again", 0), 50))
	goroutine.readResponse().wantAccepted(t, "again")
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop(t.Context()) }()
	f.untilNobodyListens()
	for _, c := range []*client{loop, goroutine} {
		c.send(post("{}"))
		a := c.readResponse()
		a.wantRefusal(t, 400, problem.InvalidPacket)
		c.wantClosed(a)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Connections that a stop can no longer wait for are closed and logged. A packet that is stored
// nevertheless is known as a duplicate, and its memory is released.
func TestStopTimeout(t *testing.T) {
	j := &greedyJournal{entered: make(chan struct{}), gate: make(chan struct{})}
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 100}, slog.New(slog.DiscardHandler), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := standard()
	o.window = window
	var log strings.Builder
	f, server := stoppableLogged(t, o, j, debugLogger(&log))
	requests := map[string]string{"usual": post(aPacket("usual", 0)), "chunks": chunked(aPacket("chunks", 0), 50)}
	clients := make(map[string]*client)
	for id, request := range requests {
		clients[id] = f.dial()
		clients[id].send(request)
		<-j.entered
	}
	for openOn(server) > len(clients) { // a connection in the fallback counts twice
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "cut off") || !strings.Contains(text, "connections=2") {
		t.Errorf("logged %q", text)
	}
	for id, c := range clients {
		if n, err := io.Copy(io.Discard, c.reader); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes of a response, %v", id, n, err)
		}
		j.gate <- struct{}{}
	}
	for f.handler.memory.Held() != 0 { // until the packets are completed
		runtime.Gosched()
	}
	for id := range requests {
		knowsDuplicate(t, window, id)
	}
}

// knowsDuplicate fails unless the window knows the packet with the id once its reservation has ended, which
// is after the memory was released.
func knowsDuplicate(t *testing.T, window *dedupe.Window, id string) {
	t.Helper()
	body := []byte(aPacket(id, 0))
	info, err := packet.Check(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	state := dedupe.InFlight
	for state == dedupe.InFlight {
		state, _ = window.Begin("", info, body, "", time.Now())
		runtime.Gosched()
	}
	if state != dedupe.Duplicate {
		t.Errorf("the packet %s was stored, and is not known: %v", id, state)
	}
}

// Clients that disconnect while their packets are stored do no harm.
func TestClientsDisconnectDuringCommit(t *testing.T) {
	f := serve(t, standard())
	f.journal.entered, f.journal.gate = make(chan struct{}), make(chan struct{})
	for i := range 10 {
		c := f.dial()
		c.send(post(aPacket(fmt.Sprint(i), 0)))
		<-f.journal.entered
		_ = c.conn.(*net.TCPConn).SetLinger(0)
		_ = c.conn.Close()
	}
	for range 10 {
		f.journal.gate <- struct{}{}
	}
	go func() {
		<-f.journal.entered
		f.journal.gate <- struct{}{}
	}()
	f.exchange(post(aPacket("last", 0))).wantAccepted(t, "last")
	for len(f.journal.records()) != 11 { // the packets of the others may be stored later
		runtime.Gosched()
	}
}
