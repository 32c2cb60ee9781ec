package browser

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/logstreamer/logstreamer/internal/history"
)

// gate is a network between a browser and a server that can hold back all data, without closing a
// connection.
type gate struct {
	net.Listener
	to string

	mu     sync.Mutex // guards all below
	open   sync.Cond
	shut   bool
	closed bool
	all    []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: listener, to: to}
	g.open.L = &g.mu
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { g.connect(from) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // the test is over
		g.set(false)
		g.mu.Lock()
		g.closed = true
		for _, one := range g.all {
			_ = one.Close() // the test is over
		}
		g.mu.Unlock()
		running.Wait()
	})
	return g
}

// set opens or closes the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.open.Broadcast()
}

func (g *gate) connect(from net.Conn) {
	to, err := net.Dial("tcp", g.to)
	if err != nil {
		_ = from.Close() // nobody is there
		return
	}
	g.mu.Lock()
	g.all = append(g.all, from, to)
	if g.closed {
		_ = from.Close() // the test is over
		_ = to.Close()
	}
	g.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { g.copy(to, from) })
	both.Go(func() { g.copy(from, to) })
	both.Wait()
}

func (g *gate) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }() // as the other side has closed it
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.mu.Lock()
		for g.shut {
			g.open.Wait()
		}
		g.mu.Unlock()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// A network that drops all data without an error is detected, and so is its recovery.
func TestSilentNetwork(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	w.emit("web-1", 40, "1-100")
	g := newGate(t, w.addr)
	b := openTab(t, w, 1280, "light")
	b.url = "http://" + g.Addr().String()
	b.navigate("")
	b.shows("All is well")
	g.set(true)
	b.shows("Disconnected, last seen 1")
	b.shows("Not known now. At ")
	b.until("!document.querySelector('.menu')")
	g.set(false)
	b.shows("Live, each second.")
	b.shows("All is well")
	b.lacks("was restarted")
	b.snapshots(1)
}

// A page over the limit of viewers says why it has no data, and gets data as soon as another page
// is closed.
func TestTooManyViewers(t *testing.T) {
	parallel(t)
	w := newHarness(t, "")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range history.MaxViewers {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.addr+"/v1/stream", nil)
		w.must(err)
		response, err := http.DefaultClient.Do(request)
		w.must(err)
		t.Cleanup(func() { _ = response.Body.Close() }) // of a stream whose page was left
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
	}
	b := open(t, w, 1280, "light", "")
	b.shows("there are 32 viewers, which is the maximum. Trying again in ")
	b.shows("No data yet.")
	b.accessible("one viewer too many")
	leave()
	b.shows("Ready, and no traffic: 3 of 3")
}
