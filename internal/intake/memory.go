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
	shared  atomic.Int64 // bytes, of held, that are shared; see Share
}

// Bodies are shared up to maxSharedBytes each, and up to a sharedPart of the limit together,
// while no more than half of the capacity is in use: when memory gets scarce, each packet
// holds its own alone.
const (
	maxSharedBytes = 1 << 20
	sharedPart     = 8
	// originsPart is sharedPart for bodies with the origins of packets: an origin saves a third
	// of what a packet costs, most of all when there are so many that memory gets scarce.
	originsPart = 4
)

// Share returns what makes packets of parts of a lent body without copies, or nil if they are
// to be copied. It takes the body back, unless it returns nil. The body is held until the
// last of the packets is released, besides what is held for them.
func (m *Memory) Share(body *packet.Packet) *packet.Shared {
	if m.check(m.limit.Load()/2) != "" {
		return nil
	}
	return m.share(body, sharedPart)
}

// ShareOrigins is Share for a body with the origins of packets; see packet.Packet. It may hold
// more, whatever is in use.
func (m *Memory) ShareOrigins(body *packet.Packet) *packet.Shared { return m.share(body, originsPart) }

// share shares up to a part of the limit.
func (m *Memory) share(body *packet.Packet, part int64) *packet.Shared {
	bytes := body.Footprint()
	if bytes > maxSharedBytes {
		return nil
	}
	if m.shared.Add(bytes) > m.limit.Load()/part {
		m.shared.Add(-bytes)
		return nil
	}
	return m.pool.Share(body, m.unshare)
}

func (m *Memory) unshare(body *packet.Packet) {
	m.shared.Add(-body.Footprint())
	m.Drop(body)
}

// LendPart is Lend for a body that is part of a shared one, or a copy if shared is nil.
func (m *Memory) LendPart(shared *packet.Shared, body []byte) (*packet.Packet, Reason) {
	if reason := m.Reserve(packet.FootprintOf(len(body))); reason != "" {
		return nil, reason
	}
	if shared != nil {
		return shared.Part(body), ""
	}
	return m.pool.New(body, packet.Info{}), ""
}

// Limit returns how many bytes may be held.
func (m *Memory) Limit() int64 { return m.limit.Load() }

// Held returns how many bytes are held.
func (m *Memory) Held() int64 { return m.held.Load() }

// Shared returns how many of the held bytes are those of shared bodies; see Share.
func (m *Memory) Shared() int64 { return m.shared.Load() }

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
