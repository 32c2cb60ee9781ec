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

// Behaviour is what a recording analyzer does with a request. The zero value
// takes the packets and answers 200.
type Behaviour struct {
	// Status is the answer; any but 2xx means that the packets are not taken.
	Status     int    `json:",omitempty"`
	RetryAfter string `json:",omitempty" yaml:"retry-after"`
	// Hang answers nothing for as long as this behaviour lasts.
	Hang bool `json:",omitempty"`
	// Reset reads the request and resets the connection.
	Reset bool `json:",omitempty"`
	// Forget takes the packets, and then resets the connection all the same.
	Forget bool `json:",omitempty"`
	// Die closes the port and all connections once the request is read, as the end of a
	// process does, for a second.
	Die bool `json:",omitempty"`
	// Refuse lets nobody connect: the port is closed, and so are connections.
	Refuse bool `json:",omitempty"`
	// Delay comes before the answer; with Every, only for each so many-th request.
	Delay time.Duration `json:",omitempty"`
	Every int64         `json:",omitempty"`
	// Service is how long one of Workers takes for a packet, and Slower how many
	// times that it is now. With Over it grows to that evenly in that time.
	Service time.Duration `json:",omitempty"`
	Workers int           `json:",omitempty"`
	Slower  float64       `json:",omitempty"`
	Over    time.Duration `json:",omitempty"`
	// Only requests with a packet of this load, or burst, are treated so, if it is
	// told.
	Only string `json:",omitempty"`
	// Probes says that health probes are treated so, too.
	Probes bool `json:",omitempty"`
	// Single does not advertise NDJSON.
	Single bool `json:",omitempty"`
}

// recorder is an analyzer in a process of its own. It appends the id of each
// packet that it takes to a log before it answers, so that the log is whole
// however the process ends. It is told what to do on standard input, a
// behaviour a line, and ends with it.
type recorder struct {
	log    *os.File
	routes *http.ServeMux

	mu       sync.Mutex // guards all below
	server   *http.Server
	now      Behaviour
	changed  chan struct{} // closed when now changes
	desk     desk          // made anew when now changes
	requests int64
	listener net.Listener // nil while it refuses connections
	address  string
}

// recordPackets runs a recorder until its standard input ends.
func recordPackets(address, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	r := &recorder{log: log, routes: http.NewServeMux(), changed: make(chan struct{}), address: address}
	r.routes.HandleFunc("POST /ingest", r.ingest)
	r.routes.HandleFunc("GET /health", r.health)
	if err := r.listen(true); err != nil {
		return err
	}
	fmt.Println(r.address)
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		var next Behaviour
		if err := json.Unmarshal(orders.Bytes(), &next); err != nil {
			return err
		}
		if err := r.become(next); err != nil {
			return err
		}
		fmt.Println("done")
	}
	r.closeAll()
	return errors.Join(orders.Err(), log.Close())
}

func (r *recorder) become(next Behaviour) error {
	r.mu.Lock()
	r.now = next
	r.desk = newDesk(next, time.Now())
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	return r.listen(!next.Refuse)
}

// listen opens or closes the port. Closing it closes idle connections as well.
func (r *recorder) listen(open bool) error {
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

// die closes the port and all connections, and opens the port again after a second.
func (r *recorder) die() {
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

func (r *recorder) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		_ = r.server.Close()
	}
	r.server, r.listener = nil, nil
}

// next returns the behaviour for a request with these packets, when they will be
// done, and what is closed when the behaviour changes.
func (r *recorder) next(packets []string) (b Behaviour, done time.Time, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	b, done = r.now.towards(packets), time.Now()
	if b.Every == 0 || r.requests%b.Every == 0 {
		done = done.Add(b.Delay)
	}
	if len(packets) > 0 {
		done = r.desk.serve(done, len(packets))
	}
	return b, done, r.changed
}

// towards is the behaviour towards a request with these packets.
func (b Behaviour) towards(packets []string) Behaviour {
	meant := func(id string) bool { return strings.HasPrefix(id, b.Only+"-") }
	if b.Only == "" || slices.ContainsFunc(packets, meant) {
		return b
	}
	return Behaviour{Single: b.Single}
}

func (r *recorder) health(w http.ResponseWriter, _ *http.Request) {
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

func (r *recorder) ingest(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the distributor went away, or sent it elsewhere
	}
	ids, err := idsOf(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	b, ok := r.work(request.Context(), ids)
	if !ok {
		abandon(w)
		return
	}
	if b.Die {
		r.die()
		return // nobody is left to be answered
	}
	if !b.Reset && (b.Status == 0 || b.Status/100 == 2) {
		if err := r.take(ids); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	r.answer(w, b)
}

// work waits until packets are done. It reports false when they were
// given up while it hung; one who only is slow takes them all the same.
func (r *recorder) work(ctx context.Context, packets []string) (Behaviour, bool) {
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

func (r *recorder) answer(w http.ResponseWriter, b Behaviour) {
	if b.Reset || b.Forget || b.Refuse {
		abandon(w)
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
func (r *recorder) take(ids []string) error {
	_, err := r.log.WriteString(strings.Join(ids, "\n") + "\n")
	return err
}

// abandon resets the connection.
func abandon(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
