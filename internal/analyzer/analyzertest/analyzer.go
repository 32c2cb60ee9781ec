// Package analyzertest provides a scripted analyzer for tests of senders. Its
// behaviour may change at any time, and it records every packet.
package analyzertest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Analyzer is a scripted analyzer on a loopback port. It starts healthy, takes
// every packet and advertises NDJSON. Safe for concurrent use.
type Analyzer struct {
	address string
	server  *http.Server
	serving sync.WaitGroup

	mu         sync.Mutex
	listener   net.Listener // guarded by mu, as all below; nil while refusing connections
	ingest     Behaviour
	health     Behaviour
	singleOnly bool // NDJSON is not advertised
	received   []Packet
	probes     int
	requests   int
	released   chan struct{} // closed and replaced by Release
	changed    chan struct{} // closed and replaced by each event

	closeOnce sync.Once
	closed    chan struct{} // closed by Close; ends hanging requests
}

// New starts an analyzer that is closed when the test ends.
func New(tb testing.TB) *Analyzer {
	tb.Helper()
	a, err := Start()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	return a
}

// Start starts an analyzer; the caller closes it.
func Start() (*Analyzer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the scripted analyzer cannot listen: %w", err)
	}
	a := &Analyzer{
		address:  listener.Addr().String(),
		closed:   make(chan struct{}),
		released: make(chan struct{}),
		changed:  make(chan struct{}),
		ingest:   OK(),
		health:   OK(),
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /ingest", a.serveIngest)
	routes.HandleFunc("GET /health", a.serveHealth)
	a.server = &http.Server{Handler: routes, ReadHeaderTimeout: time.Minute}
	a.serveOn(listener)
	return a, nil
}

// URL returns the analyzer's address as http://host:port.
func (a *Analyzer) URL() string { return "http://" + a.address }

// Close ends every request and connection; it may be called again.
func (a *Analyzer) Close() {
	a.closeOnce.Do(func() {
		close(a.closed)
		_ = a.server.Close() // closes connections in any state
		a.serving.Wait()
	})
}

// Behave sets the behaviour for packets from the next request on.
func (a *Analyzer) Behave(b Behaviour) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ingest = b
}

// BehaveToProbes sets the behaviour for health probes from the next one on.
func (a *Analyzer) BehaveToProbes(b Behaviour) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.health = b
}

// AdvertiseNDJSON sets whether health responses advertise NDJSON.
func (a *Analyzer) AdvertiseNDJSON(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.singleOnly = !yes
}

// Release resumes the requests that hang; they are answered as by OK.
func (a *Analyzer) Release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.released)
	a.released = make(chan struct{})
}

// RefuseConnections closes the listener and idle connections; requests in
// flight continue.
func (a *Analyzer) RefuseConnections() {
	a.mu.Lock()
	listener := a.listener
	a.listener = nil
	a.mu.Unlock()
	if listener == nil {
		return
	}
	_ = listener.Close() // it was open
	a.server.SetKeepAlivesEnabled(false)
}

// AcceptConnections listens again, on the same port.
func (a *Analyzer) AcceptConnections() error {
	a.mu.Lock()
	listening := a.listener != nil
	a.mu.Unlock()
	if listening {
		return nil
	}
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		return fmt.Errorf("the scripted analyzer cannot listen again: %w", err)
	}
	a.server.SetKeepAlivesEnabled(true)
	a.serveOn(listener)
	return nil
}

func (a *Analyzer) serveOn(listener net.Listener) {
	a.mu.Lock()
	a.listener = listener
	a.mu.Unlock()
	a.serving.Go(func() {
		_ = a.server.Serve(listener) // ends when the listener is closed
	})
}
