package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Behaviour is how a recording analyzer handles requests. The zero value takes
// the packets and responds with 200.
type Behaviour struct {
	// Status is the response; packets are taken only with 2xx.
	Status     int    `json:",omitempty"`
	RetryAfter string `json:",omitempty" yaml:"retry-after"`
	// Hang does not respond while this behaviour lasts.
	Hang bool `json:",omitempty"`
	// Reset reads the request and resets the connection.
	Reset bool `json:",omitempty"`
	// Forget takes the packets and then resets the connection.
	Forget bool `json:",omitempty"`
	// Die closes the port and all connections for a second once the request is
	// read, as a crash does.
	Die bool `json:",omitempty"`
	// Refuse closes the port and all connections.
	Refuse bool `json:",omitempty"`
	// Delay precedes the response; with Every, only of every n-th request.
	Delay time.Duration `json:",omitempty"`
	Every int64         `json:",omitempty"`
	// Service is the time one of Workers takes per packet, multiplied by
	// Slower. With Over the factor grows linearly over that time.
	Service time.Duration `json:",omitempty"`
	Workers int           `json:",omitempty"`
	Slower  float64       `json:",omitempty"`
	Over    time.Duration `json:",omitempty"`
	// Only, if set, restricts the behaviour to requests with a packet of this
	// load or burst.
	Only string `json:",omitempty"`
	// Probes applies the behaviour to health probes as well.
	Probes bool `json:",omitempty"`
	// Single disables NDJSON.
	Single bool `json:",omitempty"`
}

// recordingAnalyzer is an analyzer in its own process. It logs the id of each
// packet that it takes before it responds, so that the log is complete however
// the process ends. It reads behaviours from standard input, one per line, and
// ends with it.
type recordingAnalyzer struct {
	log    *os.File
	routes *http.ServeMux

	mu          sync.Mutex // guards all below
	server      *http.Server
	now         Behaviour
	changed     chan struct{} // closed when now changes
	workerModel workerModel   // reset when now changes
	requests    int64
	listener    net.Listener // nil while it refuses connections
	address     string
}

// recordPackets runs a recording analyzer until its standard input ends.
func recordPackets(address, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	r := &recordingAnalyzer{log: log, routes: http.NewServeMux(), changed: make(chan struct{}), address: address}
	r.routes.HandleFunc("POST /ingest", r.ingest)
	r.routes.HandleFunc("GET /health", r.health)
	if err := r.listen(true); err != nil {
		return err
	}
	fmt.Println(r.address)
	control := bufio.NewScanner(os.Stdin)
	for control.Scan() {
		var next Behaviour
		if err := json.Unmarshal(control.Bytes(), &next); err != nil {
			return err
		}
		if err := r.setBehaviour(next); err != nil {
			return err
		}
		fmt.Println("done")
	}
	r.closeAll()
	return errors.Join(control.Err(), log.Close())
}

func (r *recordingAnalyzer) setBehaviour(next Behaviour) error {
	r.mu.Lock()
	r.now = next
	r.workerModel = newWorkerModel(next, time.Now())
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	return r.listen(!next.Refuse)
}

// listen opens or closes the port. Closing it also closes idle connections.
func (r *recordingAnalyzer) listen(open bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if open == (r.listener != nil) {
		return nil
	}
	if !open {
		r.server.SetKeepAlivesEnabled(false)
		err := r.listener.Close()
		r.listener = nil
		return err
	}
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		return err
	}
	r.listener, r.address = listener, listener.Addr().String()
	if r.server == nil {
		r.server = &http.Server{Handler: r.routes, ReadHeaderTimeout: time.Minute}
	}
	r.server.SetKeepAlivesEnabled(true)
	go r.server.Serve(listener) //nolint:errcheck // it ends with the listener
	return nil
}

// die closes the port and all connections, and reopens the port after a second.
func (r *recordingAnalyzer) die() {
	r.closeAll()
	time.AfterFunc(time.Second, func() {
		r.mu.Lock()
		open := !r.now.Refuse
		r.mu.Unlock()
		if err := r.listen(open); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
}

func (r *recordingAnalyzer) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		_ = r.server.Close()
	}
	r.server, r.listener = nil, nil
}

// next returns the behaviour for a request with these packets, their completion
// time, and a channel closed when the behaviour changes.
func (r *recordingAnalyzer) next(packets []string) (b Behaviour, done time.Time, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	b, done = r.now.forPackets(packets), time.Now()
	if b.Every == 0 || r.requests%b.Every == 0 {
		done = done.Add(b.Delay)
	}
	if len(packets) > 0 {
		done = r.workerModel.serve(done, len(packets))
	}
	return b, done, r.changed
}

// forPackets is the behaviour for a request with these packets.
func (b Behaviour) forPackets(packets []string) Behaviour {
	meant := func(id string) bool { return strings.HasPrefix(id, b.Only+"-") }
	if b.Only == "" || slices.ContainsFunc(packets, meant) {
		return b
	}
	return Behaviour{Single: b.Single}
}

func (r *recordingAnalyzer) health(w http.ResponseWriter, _ *http.Request) {
	b, _, changed := r.next(nil)
	if !b.Single {
		w.Header().Set("Accept-Post", "application/x-ndjson")
	}
	if !b.Probes {
		return
	}
	if b.Hang {
		<-changed
		return
	}
	r.answer(w, b)
}

func (r *recordingAnalyzer) ingest(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the distributor disconnected
	}
	ids, err := idsOf(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	b, ok := r.work(request.Context(), ids)
	if !ok {
		resetConnection(w)
		return
	}
	if b.Die {
		r.die()
		return // the connection is closed
	}
	if !b.Reset && (b.Status == 0 || b.Status/100 == 2) {
		if err := r.take(ids); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	r.answer(w, b)
}

// work waits until packets are done. It returns false when a hanging request
// was cancelled; a slow one is taken anyway.
func (r *recordingAnalyzer) work(ctx context.Context, packets []string) (Behaviour, bool) {
	for {
		b, done, changed := r.next(packets)
		if b.Hang {
			<-changed
			if ctx.Err() != nil {
				return b, false
			}
			continue
		}
		timer := time.NewTimer(time.Until(done))
		select {
		case <-timer.C:
			return b, true
		case <-changed:
			timer.Stop()
		}
	}
}

func (r *recordingAnalyzer) answer(w http.ResponseWriter, b Behaviour) {
	if b.Reset || b.Forget || b.Refuse {
		resetConnection(w)
		return
	}
	if b.RetryAfter != "" {
		w.Header().Set("Retry-After", b.RetryAfter)
	}
	w.WriteHeader(max(b.Status, http.StatusOK))
}

// idsOf returns the ids of all packets of a body.
func idsOf(body []byte) (ids []string, err error) {
	lines := packet.LinesOf(body)
	for line, _, ok := lines.Next(); ok; line, _, ok = lines.Next() {
		var p struct {
			ID string `json:"packet_id"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(line), &p); err != nil {
			return nil, fmt.Errorf("not a packet: %w: %s", err, line)
		}
		ids = append(ids, p.ID)
	}
	return ids, nil
}

// take logs ids with one write.
func (r *recordingAnalyzer) take(ids []string) error {
	_, err := r.log.WriteString(strings.Join(ids, "\n") + "\n")
	return err
}

// resetConnection resets the connection.
func resetConnection(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
