package analyzertest

import (
	"net"
	"net/http"
	"time"
)

// Behaviour is what happens to a request. Make one with the functions below.
type Behaviour struct {
	delay   time.Duration
	status  int
	header  []string
	hang    bool
	reset   bool
	refused map[string]Refused
}

// Refused is how a packet is listed that is refused for good.
type Refused struct {
	Code, Detail string
}

// OK answers 200 and takes every packet.
func OK() Behaviour { return Behaviour{status: http.StatusOK} }

// Status answers with a status; header has pairs of names and values, such as
// "Retry-After", "1". With a 2xx status the packets are taken.
func Status(status int, header ...string) Behaviour {
	return Behaviour{status: status, header: header}
}

// Hang answers nothing until Release, or until the sender goes away.
func Hang() Behaviour { return Behaviour{status: http.StatusOK, hang: true} }

// Reset reads the request and then resets the connection (TCP RST).
func Reset() Behaviour { return Behaviour{reset: true} }

// Refuse takes every packet but those whose id is a key: an NDJSON request is
// answered with 207 and their lines, a single packet with 422.
func Refuse(packets map[string]Refused) Behaviour {
	return Behaviour{status: http.StatusOK, refused: packets}
}

// After returns the same behaviour, begun that much later.
func (b Behaviour) After(delay time.Duration) Behaviour {
	b.delay = delay
	return b
}

// wait does what comes before the answer, and tells whether there is one. A
// sender that goes away ends only a hanging request: a slow analyzer takes
// what it was sent.
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

// cutOff ends the connection without an answer; with a reset if asked for.
func cutOff(w http.ResponseWriter, reset bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to end a connection
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // makes Close send RST
	}
	_ = conn.Close() // nothing was written
}
