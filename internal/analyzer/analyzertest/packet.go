package analyzertest

import (
	"context"
	"net/http"
	"slices"
)

// Packet is one received packet. An invalid one has no ids and no messages.
type Packet struct {
	EmitterID, PacketID string
	Messages            int
	// Body is the packet's bytes.
	Body []byte
	// Request is the number of its request, from 1, and Line its position
	// there.
	Request, Line int
	// Header is the request's header.
	Header http.Header
	// Taken reports whether the analyzer responded with 2xx, perhaps after the
	// sender's timeout.
	Taken bool
}

// Received returns every packet in order of arrival, repeats included. Bodies
// and headers must not be changed.
func (a *Analyzer) Received() []Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.received)
}

// Taken returns how often each packet was taken, by packet id.
func (a *Analyzer) Taken() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := make(map[string]int)
	for i := range a.received {
		if a.received[i].Taken {
			taken[a.received[i].PacketID]++
		}
	}
	return taken
}

// TakenMessages returns the number of messages taken, repeats included.
func (a *Analyzer) TakenMessages() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	messages := 0
	for i := range a.received {
		if a.received[i].Taken {
			messages += a.received[i].Messages
		}
	}
	return messages
}

// Probes returns the number of health probes.
func (a *Analyzer) Probes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.probes
}

// Requests returns the number of requests with packets.
func (a *Analyzer) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// Await returns when the condition holds, which is evaluated at once and after
// each packet, response and probe, or with the context's error.
func (a *Analyzer) Await(ctx context.Context, condition func() bool) error {
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notify wakes the callers of Await; the caller holds mu.
func (a *Analyzer) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}
