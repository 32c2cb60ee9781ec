package analyzertest

import (
	"net"
	"net/http"
	"time"
)

// Behaviour describes how requests are handled. The functions below create one.
type Behaviour struct {
	delay   time.Duration
	status  int
	header  []string
	hang    bool
	reset   bool
	refused map[string]Refused
}

// Refused is the list entry of a packet refused permanently.
type Refused struct {
	Code, Detail string
}

// OK responds with 200 and takes every packet.
func OK() Behaviour { return Behaviour{status: http.StatusOK} }

// Status responds with a status; header has pairs of names and values, such as
// "Retry-After", "1". With a 2xx status the packets are taken.
func Status(status int, header ...string) Behaviour {
	return Behaviour{status: status, header: header}
}

// Hang does not respond until Release, or until the sender disconnects.
func Hang() Behaviour { return Behaviour{status: http.StatusOK, hang: true} }

// Reset reads the request and then resets the connection (TCP RST).
func Reset() Behaviour { return Behaviour{reset: true} }

// Refuse takes every packet except those whose id is a key: an NDJSON request
// gets 207 and the list, a single packet 422.
func Refuse(packets map[string]Refused) Behaviour {
	return Behaviour{status: http.StatusOK, refused: packets}
}

// After returns the same behaviour after a delay.
func (b Behaviour) After(delay time.Duration) Behaviour {
	b.delay = delay
	return b
}

// wait delays the response and reports whether to send one. A sender that
// disconnects ends only a hanging request: a delayed packet is still taken.
func (a *Analyzer) wait(b Behaviour, r *http.Request) bool {
	if b.delay > 0 {
		timer := time.NewTimer(b.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-a.closed:
			return false
		}
	}
	if !b.hang {
		return true
	}
	a.mu.Lock()
	released := a.released
	a.mu.Unlock()
	select {
	case <-released:
		return true
	case <-r.Context().Done():
	case <-a.closed:
	}
	return false
}

// closeConnection closes the connection without a response, with RST if reset.
func closeConnection(w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to end a connection
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close() // nothing was written
}
