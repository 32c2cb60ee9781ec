// Package analyzertest provides an analyzer with faults, for tests of its senders. Its behaviour
// may change at any time, and it records the packets that it takes.
package analyzertest

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// Analyzer is an analyzer with faults. It starts healthy, takes every packet and
// advertises NDJSON. Safe for concurrent use.
type Analyzer struct {
	routes *http.ServeMux
	// record records packets as taken, before the response.
	record   func(ids []string) error
	answered func(ids []string) // nil, or a function to call after the response
	fail     func(error)

	mu        sync.Mutex // guards all below
	address   string
	server    *http.Server
	listener  net.Listener // nil while it refuses connections
	closed    bool
	behaviour Behaviour
	changed   chan struct{} // closed when behaviour changes
	workers   workers       // replaced when behaviour changes
	requests  int
	taken     map[string]int
	hung      map[string]bool
}

// New starts an analyzer on a loopback port that no other test process uses: distributors of
// another process may still send to the port of an analyzer that is gone. It is closed when the
// test ends.
func New(tb testing.TB) *Analyzer {
	tb.Helper()
	free, err := ports.Free(1)
	if err != nil {
		tb.Fatal(err)
	}
	return NewAt(tb, net.JoinHostPort("127.0.0.1", strconv.Itoa(free[0])))
}

// NewAt is New with an address, host:port.
func NewAt(tb testing.TB, address string) *Analyzer {
	tb.Helper()
	a := &Analyzer{address: address, fail: func(err error) { tb.Error(err) }}
	a.record = a.count
	if err := a.start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	return a
}

// Hooks are what an Analyzer calls, concurrently.
type Hooks struct {
	// Record records packets as taken, before the response.
	Record func(ids []string) error
	// Answered, unless nil, is called after the response has been written.
	Answered func(ids []string)
	// Fail is called when the analyzer cannot listen again.
	Fail func(error)
}

// Start starts an analyzer that records packets elsewhere. The caller closes it.
func Start(address string, hooks Hooks) (*Analyzer, error) {
	a := &Analyzer{address: address, record: hooks.Record, answered: hooks.Answered, fail: hooks.Fail}
	return a, a.start()
}

func (a *Analyzer) start() error {
	a.taken, a.hung, a.changed = make(map[string]int), make(map[string]bool), make(chan struct{})
	a.routes = http.NewServeMux()
	a.routes.HandleFunc("POST /ingest", a.serveIngest)
	a.routes.HandleFunc("GET /health", a.serveHealth)
	return a.listen(true)
}

// Address returns the listen address.
func (a *Analyzer) Address() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.address
}

// URL returns the analyzer's address as http://host:port.
func (a *Analyzer) URL() string { return "http://" + a.Address() }

// Behave sets the behaviour, also for requests that hang or are delayed.
func (a *Analyzer) Behave(b Behaviour) {
	a.mu.Lock()
	a.behaviour, a.workers = b, newWorkers(b, time.Now())
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	if err := a.listen(!b.Refuse); err != nil {
		a.fail(err)
	}
}

// listen opens or closes the port. Closing it also closes idle connections.
func (a *Analyzer) listen(open bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || open == (a.listener != nil) {
		return nil
	}
	if !open {
		a.server.SetKeepAlivesEnabled(false)
		err := a.listener.Close()
		a.listener = nil
		return err
	}
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		return fmt.Errorf("the analyzer cannot listen: %w", err)
	}
	a.listener, a.address = listener, listener.Addr().String()
	if a.server == nil {
		a.server = &http.Server{Handler: a.routes, ReadHeaderTimeout: time.Minute}
	}
	a.server.SetKeepAlivesEnabled(true)
	go a.server.Serve(listener) //nolint:errcheck // it ends with the listener
	return nil
}

// die closes the port and all connections, and opens the port again after a
// second.
func (a *Analyzer) die() {
	a.closeServer()
	time.AfterFunc(time.Second, func() {
		a.mu.Lock()
		open := !a.behaviour.Refuse
		a.mu.Unlock()
		if err := a.listen(open); err != nil {
			a.fail(err)
		}
	})
}

// Close ends every request and connection.
func (a *Analyzer) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.closeServer()
}

func (a *Analyzer) closeServer() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil {
		_ = a.server.Close() // closes connections in any state
	}
	a.server, a.listener = nil, nil
}

// Requests returns the number of requests with packets.
func (a *Analyzer) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// Taken returns how often each packet was taken, by packet id, perhaps after its
// sender's timeout.
func (a *Analyzer) Taken() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.taken)
}

// Hung returns the ids of the packets of all requests that hung.
func (a *Analyzer) Hung() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.hung)
}

// count is the record of an analyzer without hooks.
func (a *Analyzer) count(ids []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.taken[id]++
	}
	return nil
}
