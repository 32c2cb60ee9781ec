package analyzertest

import (
	"context"
	"net/http"
	"slices"
)

// Packet is one packet as it arrived. One that is not a packet by its rules
// has no ids and no messages.
type Packet struct {
	EmitterID, PacketID string
	Messages            int
	// Body is what the sender sent for this packet alone.
	Body []byte
	// Request is the number of the request that it came in, from 1, and Line
	// its place there.
	Request, Line int
	// Header is that of the request.
	Header http.Header
	// Taken tells whether the analyzer answered that it took the packet,
	// though perhaps too late for the sender.
	Taken bool
}

// Received returns every packet that arrived, in order and as often as it did.
// Bodies and headers must not be changed.
func (a *Analyzer) Received() []Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.received)
}

// Taken returns how often each packet was taken, by its id.
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

// TakenMessages returns how many messages were taken, those of repeats
// included.
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

// Probes returns how many health probes arrived.
func (a *Analyzer) Probes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.probes
}

// Requests returns how many requests with packets arrived.
func (a *Analyzer) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// Await returns when the condition holds: it is asked at once and after each
// packet, answer and probe. It returns the context's error if that ends first.
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

// tell wakes who awaits; the caller holds mu.
func (a *Analyzer) tell() {
	close(a.changed)
	a.changed = make(chan struct{})
}
