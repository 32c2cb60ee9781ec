package analyzertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const ndjson = "application/x-ndjson"

func (a *Analyzer) serveHealth(w http.ResponseWriter, r *http.Request) {
	b, _, _ := a.next(0, nil)
	if !b.Single {
		w.Header().Set("Accept-Post", ndjson)
	}
	if !b.Probes {
		return
	}
	b, ok := a.work(r.Context(), 0, nil)
	if !ok {
		resetConnection(w)
		return
	}
	respond(w, b)
}

func (a *Analyzer) serveIngest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender disconnected
	}
	batch := r.Header.Get("Content-Type") == ndjson
	ids, err := idsOf(body, batch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	a.requests++
	number := a.requests
	a.mu.Unlock()
	b, ok := a.work(r.Context(), number, ids)
	switch {
	case !ok:
		resetConnection(w)
		return
	case b.Die:
		a.die() // closes the connection
		return
	}
	taken, rejected := b.divide(ids)
	if b.takes() {
		if err := a.record(taken); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	switch {
	case len(rejected) == 0:
		respond(w, b)
	case batch:
		w.WriteHeader(http.StatusMultiStatus)
		_ = json.NewEncoder(w).Encode(map[string]any{"refused": rejected}) // the sender may have disconnected
	default:
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	if a.answered != nil && http.NewResponseController(w).Flush() == nil {
		a.answered(taken)
	}
}

// next returns the behaviour for a request with these packets, the time at which the packets are
// done, and a channel that is closed when the behaviour changes.
func (a *Analyzer) next(number int, ids []string) (b Behaviour, done time.Time, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, done = a.behaviour.forPackets(ids), time.Now()
	if len(ids) > 0 {
		if b.Every == 0 || number%b.Every == 0 {
			done = done.Add(b.Delay)
		}
		done = a.workers.serve(done, len(ids))
	}
	return b, done, a.changed
}

// work waits until packets are done. It returns false if the sender of a hanging request has
// disconnected; packets of a slow request are taken even then.
func (a *Analyzer) work(ctx context.Context, number int, ids []string) (Behaviour, bool) {
	for {
		b, done, changed := a.next(number, ids)
		if b.Hang {
			a.noteHung(ids)
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return b, false
			}
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

func (a *Analyzer) noteHung(ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.hung[id] = true
	}
}

// rejectedLine is an entry of the list in a 207.
type rejectedLine struct {
	Line   int    `json:"line"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// divide divides the packets of a request into those that are taken and those that are rejected
// permanently.
func (b Behaviour) divide(ids []string) (taken []string, rejected []rejectedLine) {
	for i, id := range ids {
		if code, ok := b.Rejected[id]; ok {
			rejected = append(rejected, rejectedLine{i + 1, code, "not packet " + id})
		} else {
			taken = append(taken, id)
		}
	}
	return taken, rejected
}

// idsOf returns the ids of the packets of a body, in order.
func idsOf(body []byte, batch bool) (ids []string, err error) {
	lines := [][]byte{body}
	if batch {
		lines = bytes.Split(bytes.TrimSpace(body), []byte{'\n'})
	}
	for _, line := range lines {
		var p struct {
			ID string `json:"packet_id"`
		}
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("not a packet: %w: %s", err, line)
		}
		ids = append(ids, p.ID)
	}
	return ids, nil
}

func respond(w http.ResponseWriter, b Behaviour) {
	if b.Reset || b.Forget || b.Refuse {
		resetConnection(w)
		return
	}
	if b.RetryAfter != "" {
		w.Header().Set("Retry-After", b.RetryAfter)
	}
	w.WriteHeader(max(b.Status, http.StatusOK))
}

// resetConnection closes the connection with a TCP RST instead of a response.
func resetConnection(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return // the connection is closed
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close() // no byte was written
}
