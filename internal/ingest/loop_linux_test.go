package ingest

import (
	"bytes"
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
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// lateJournal stores packets in a goroutine of its own, in any order, and
// refuses each whose id says so.
type lateJournal struct{ sink }

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

// However a stream of requests is cut into pieces, each is answered, in order.
func TestRequestsInPieces(t *testing.T) {
	f := serve(t, standard())
	type exchange struct {
		request string
		want    func(answer)
	}
	accepted := func(body string, id string) exchange {
		return exchange{post(body), func(a answer) { a.wantAccepted(t, id) }}
	}
	kinds := []exchange{
		accepted(aPacket("small", 0), "small"),
		accepted(aPacket("middle", 30_000), "middle"),
		accepted(aPacket("large", 300_000), "large"),
		{post("{}"), func(a answer) { a.wantRefusal(t, 400, problem.InvalidPacket) }},
		{post(aPacket("1", 0)+"\n"+aPacket("2", 0), linesType), func(a answer) {
			if a.text != `{"status":"accepted","accepted":2}` {
				t.Error(a.text)
			}
		}},
		{chunked(aPacket("chunks", 500), 100), func(a answer) { a.wantAccepted(t, "chunks") }},
		{"GET /other HTTP/1.1\r\nHost: t\r\n\r\n", func(a answer) {
			if a.text != "other" {
				t.Error(a.text)
			}
		}},
	}
	rapid.Check(t, func(r *rapid.T) {
		usual := rapid.IntRange(1, 6).Draw(r, "usual")
		var stream strings.Builder
		var wants []func(answer)
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
		largest := rapid.SampledFrom([]int{40, 400, 4000, 100_000}).Draw(r, "largest piece")
		seed := rapid.Uint64().Draw(r, "seed")
		var sending sync.WaitGroup
		sending.Go(func() {
			pieces := rand.New(rand.NewPCG(seed, 0))
			for rest := stream.String(); len(rest) > 0; {
				n := min(len(rest), 1+pieces.IntN(largest))
				if _, err := io.WriteString(c.conn, rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		})
		for _, want := range wants {
			want(c.answer())
		}
		sending.Wait()
	})
}

// Many connections at once, with packets that are stored, that find no room and
// that cannot be written: each gets its own answer.
func TestManyConnections(t *testing.T) {
	o := standard()
	h := newHandler(t, o, lateJournal{})
	f := &fixture{T: t, handler: h, addr: listenAndServe(t, h, o.timeouts)}
	t.Cleanup(func() {
		if left := h.bodies.reading.Load(); left != 0 {
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

// do is something that a loop is made to do.
type do func(l *loop)

func (d do) handle(l *loop) { d(l) }

// answerAtLength has the only client answered with more than it reads.
func (s *Server) answerAtLength(c *client) []byte {
	c.Helper()
	c.wantReusable()
	text := bytes.Repeat([]byte("0123456789"), 1<<20)
	s.loops.post(do(func(l *loop) {
		for _, s := range l.sockets {
			if s != nil {
				l.write(s, text)
			}
		}
	}))
	for s.connections.count() == 0 {
		runtime.Gosched()
	}
	return text
}

// An answer that a client is slow to read holds up nobody, and arrives.
func TestAnswerThatIsReadLate(t *testing.T) {
	f, server := stoppable(t, sink{})
	defer func() {
		if err := server.Stop(contextOf(t)); err != nil {
			t.Error(err)
		}
	}()
	c := f.dial()
	text := server.answerAtLength(c)
	for range 10 {
		f.exchange(post(aPacket("other", 0))).wantAccepted(t, "other")
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c.reader, got); err != nil || !bytes.Equal(got, text) {
		t.Errorf("the answer does not arrive as it was: %v", err)
	}
	c.wantReusable()
}

// stuckJournal blocks whoever submits the first packets.
type stuckJournal struct {
	sink
	entered, gate chan struct{}
	once          *sync.Once
}

func (j stuckJournal) AppendAsync(packets []*packet.Packet, w journal.Waiter) (int, bool, error) {
	j.once.Do(func() {
		close(j.entered)
		<-j.gate
	})
	return j.sink.AppendAsync(packets, w)
}

// More sockets become ready at once than the poller is told of at once.
func TestMoreThanOneLookTells(t *testing.T) {
	j := stuckJournal{entered: make(chan struct{}), gate: make(chan struct{}), once: new(sync.Once)}
	h := newHandler(t, standard(), j)
	f := &fixture{T: t, handler: h, addr: listenAndServe(t, h, DefaultTimeouts())}
	var clients []*client
	for range 4 * maxEvents {
		c := f.dial()
		c.wantReusableUnless(j)
		clients = append(clients, c)
	}
	close(j.gate)
	for _, c := range clients {
		c.answer().wantAccepted(t, "p")
	}
}

// wantReusableUnless sends a packet, after which the first to come is stuck.
func (c *client) wantReusableUnless(j stuckJournal) {
	c.Helper()
	c.send(post(aPacket("p", 0)))
	<-j.entered
}

// untilWaitsEnd returns when a stop waits for no client any more.
func (s *Server) untilWaitsEnd() {
	var closing atomic.Bool
	for !closing.Load() {
		s.loops.post(do(func(l *loop) { closing.CompareAndSwap(false, l.failing) }))
		runtime.Gosched()
	}
}

// Packets that are being stored when the server stops are answered, and what
// comes on a connection meanwhile is the last.
func TestStopWaitsForPackets(t *testing.T) {
	j := &greedyJournal{entered: make(chan struct{}), gate: make(chan struct{})}
	f, server := stoppable(t, j)
	busy, chunks, open := f.dial(), f.dial(), f.dial()
	busy.send(post(aPacket("busy", 0)))
	<-j.entered
	chunks.send(chunked(aPacket("chunks", 0), 50))
	<-j.entered
	open.send(post("{}"))
	open.answer().wantRefusal(t, 400, problem.InvalidPacket)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop(contextOf(t)) }()
	for !server.stopping.Load() {
		runtime.Gosched()
	}
	open.send(post("{}"))
	a := open.answer()
	a.wantRefusal(t, 400, problem.InvalidPacket)
	open.wantClosed(a)
	server.untilWaitsEnd()
	j.gate <- struct{}{}
	j.gate <- struct{}{}
	for id, c := range map[string]*client{"busy": busy, "chunks": chunks} {
		c.answer().wantAccepted(t, id)
		if n, err := io.Copy(io.Discard, c.reader); n != 0 || err != nil {
			t.Errorf("%d bytes after the last answer, %v", n, err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A stop does not cut an answer that a client is slow to read, though it has
// never sent anything to the server that has the connection now.
func TestStopWaitsForAnAnswerThatIsReadLate(t *testing.T) {
	f, server := stoppable(t, sink{})
	c := f.dial()
	text := server.answerAtLength(c)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop(contextOf(t)) }()
	server.untilWaitsEnd()
	if got, err := io.ReadAll(c.reader); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes arrive of %d, %v", len(got), len(text), err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// What a stop could not wait for any more is cut off, and told of in the log. A
// packet that is stored all the same is remembered, and its memory is given back.
func TestStopThatCannotWait(t *testing.T) {
	j := &greedyJournal{entered: make(chan struct{}), gate: make(chan struct{})}
	f, server := stoppable(t, j)
	var log strings.Builder
	server.logger = debugLogger(&log)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 100}, slog.New(slog.DiscardHandler), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.handler.deps.Duplicates = window
	requests := map[string]string{"usual": post(aPacket("usual", 0)), "chunks": chunked(aPacket("chunks", 0), 50)}
	clients := make(map[string]*client)
	for id, request := range requests {
		clients[id] = f.dial()
		clients[id].send(request)
		<-j.entered
	}
	for server.open() > len(clients) { // one that is being handed over counts twice
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
			t.Errorf("%s: %d bytes of an answer, %v", id, n, err)
		}
		j.gate <- struct{}{}
	}
	for f.handler.bodies.reading.Load() != 0 { // until the packets have landed
		runtime.Gosched()
	}
	for id := range requests {
		body := []byte(aPacket(id, 0))
		info, err := packet.Check(body, 1)
		if err != nil {
			t.Fatal(err)
		}
		if state, _ := window.Begin(info, body, time.Now()); state != dedupe.Duplicate {
			t.Errorf("the packet %s was stored, and is not known: %v", id, state)
		}
	}
}

// Clients that go while their packets are stored do no harm.
func TestClientsThatGo(t *testing.T) {
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
	for len(f.journal.records()) != 11 { // the others' may still be on their way
		runtime.Gosched()
	}
}

// A usual request costs no memory that has to be collected.
func TestAllocationsOfAUsualRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop their contents at random under the race detector")
	}
	addr := listenAndServe(t, newHandler(t, standard(), sink{}), DefaultTimeouts())
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request, room := []byte(post(aPacket("p", 800), jsonType)), make([]byte, 4096)
	allocations := testing.AllocsPerRun(5000, func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(room); err != nil || !bytes.HasPrefix(room[:n], []byte("HTTP/1.1 202 ")) {
			t.Fatal(string(room[:n]), err)
		}
	})
	t.Logf("%v allocations a packet", allocations)
	if allocations > 0 {
		t.Errorf("%v allocations a packet", allocations)
	}
}
