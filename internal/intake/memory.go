package intake

import (
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Memory bounds the memory of packets that the journal does not have yet: it is no
// more than a limit, and no more than the journal has capacity for. It may be used
// concurrently.
type Memory struct {
	limit   atomic.Int64 // bytes
	journal Journal
	pool    *packet.Pool
	held    atomic.Int64 // bytes
}

// Limit returns how many bytes may be held.
func (m *Memory) Limit() int64 { return m.limit.Load() }

// Held returns how many bytes are held.
func (m *Memory) Held() int64 { return m.held.Load() }

// Lend returns an empty packet with a buffer of at least that many bytes, or why
// there is none.
func (m *Memory) Lend(size int) (*packet.Packet, Reason) {
	if reason := m.Reserve(packet.FootprintOf(size)); reason != "" {
		return nil, reason
	}
	return m.pool.Get(size), ""
}

// Drop takes a lent packet back.
func (m *Memory) Drop(p *packet.Packet) {
	m.Free(p.Footprint())
	p.Release()
}

// Fit returns a lent packet with a buffer that fits its body. One whose length was
// unknown while it was read would hold more until it is delivered.
func (m *Memory) Fit(p *packet.Packet) *packet.Packet {
	if packet.FootprintOf(len(p.Body)) >= p.Footprint() {
		return p
	}
	smaller := m.pool.Get(len(p.Body))
	smaller.Body = append(smaller.Body, p.Body...)
	m.held.Add(smaller.Footprint())
	m.Drop(p)
	return smaller
}

// Reserve takes memory, or returns why there is none.
func (m *Memory) Reserve(bytes int64) Reason {
	m.held.Add(bytes)
	reason := m.check(0)
	if reason != "" {
		m.Free(bytes)
	}
	return reason
}

// Free ends a reservation.
func (m *Memory) Free(bytes int64) { m.held.Add(-bytes) }

// check returns why there is no memory for that many bytes more, or "".
func (m *Memory) check(bytes int64) Reason {
	held := m.held.Load() + bytes
	if held > m.limit.Load() {
		return Overloaded
	}
	if err := m.journal.CheckCapacity(int(held)); err != nil {
		return reasonOf(err)
	}
	return ""
}
