package intake

import (
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Memory bounds the memory of packets that the journal does not have yet: it is at most a limit,
// and at most the free capacity of the journal. It may be used concurrently.
type Memory struct {
	limit   atomic.Int64 // bytes
	journal Journal
	pool    *packet.Pool
	held    atomic.Int64 // bytes
	shared  atomic.Int64 // the part of held that is shared, in bytes; see Share
}

// Bodies are shared up to maxSharedBytes each, and up to a sharedPart of the limit together, while
// at most half of the capacity is in use: when memory is scarce, each packet has its own copy.
const (
	maxSharedBytes = 1 << 20
	sharedPart     = 8
	// originsPart is sharedPart for bodies with the origins of packets: an origin saves a third of
	// a packet's processor time, which matters most when memory is scarce.
	originsPart = 4
)

// Share returns a shared buffer for packets that are parts of a lent body without copies, or nil if
// they must be copied. It takes the body back, unless it returns nil. The body is held until the
// last of the packets is released, in addition to the memory that is held for the packets.
func (m *Memory) Share(body *packet.Packet) *packet.Shared {
	if m.check(m.limit.Load()/2) != "" {
		return nil
	}
	return m.share(body, sharedPart)
}

// ShareOrigins is Share for a body with the origins of packets; see packet.Packet. Its part of the
// limit is larger and does not depend on the capacity in use.
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

// LendPart is Lend for a body that is part of a shared one, or a copy if shared is nil, of a request
// that holds that many bytes besides the packets of its parts.
func (m *Memory) LendPart(shared *packet.Shared, body []byte, held int64) (*packet.Packet, Reason) {
	if reason := m.reserve(packet.FootprintOf(len(body)), held); reason != "" {
		return nil, reason
	}
	if shared != nil {
		return shared.Part(body), ""
	}
	return m.pool.New(body, packet.Info{}), ""
}

// Limit returns the maximum number of bytes held.
func (m *Memory) Limit() int64 { return m.limit.Load() }

// Held returns the number of bytes held.
func (m *Memory) Held() int64 { return m.held.Load() }

// Shared returns the number of held bytes of shared bodies; see Share.
func (m *Memory) Shared() int64 { return m.shared.Load() }

// Lend returns an empty packet with a buffer of at least size bytes, or the reason why there is no
// memory for it.
func (m *Memory) Lend(size int) (*packet.Packet, Reason) {
	if reason := m.Reserve(packet.FootprintOf(size)); reason != "" {
		return nil, reason
	}
	return m.pool.Get(size), ""
}

// LendDeferred is Lend for a deferred packet with a body of the given bytes, which are held as if
// the body were written, and with a copy of the beginning with its ids; see packet.Packet.Defer.
func (m *Memory) LendDeferred(ids []byte, bytes int, translate packet.Translate) (*packet.Packet, Reason) {
	if reason := m.Reserve(packet.FootprintOf(bytes)); reason != "" {
		return nil, reason
	}
	p := m.pool.New(ids, packet.Info{})
	p.Defer(bytes, translate)
	return p, ""
}

// Drop takes a lent packet back.
func (m *Memory) Drop(p *packet.Packet) {
	m.Free(p.Footprint())
	p.Release()
}

// Fit returns a lent packet with a buffer that fits its body and additional bytes. A packet whose
// length was unknown when it was read would otherwise hold a larger buffer until it is delivered.
func (m *Memory) Fit(p *packet.Packet, more int) *packet.Packet {
	size := len(p.Body) + more
	if packet.FootprintOf(size) >= p.Footprint() {
		return p
	}
	smaller := m.pool.Get(size)
	smaller.Body = append(smaller.Body, p.Body...)
	m.held.Add(smaller.Footprint())
	m.Drop(p)
	return smaller
}

// Reserve reserves memory, or returns the reason why there is none: TooLarge if there can never be
// enough.
func (m *Memory) Reserve(bytes int64) Reason { return m.reserve(bytes, 0) }

// reserve is Reserve for a request that holds that many bytes already.
func (m *Memory) reserve(bytes, held int64) Reason {
	m.held.Add(bytes)
	reason := m.check(0)
	if reason != "" {
		m.Free(bytes)
		reason = m.final(reason, bytes+held)
	}
	return reason
}

// final returns TooLarge instead of Overloaded if that many bytes exceed the limit even without
// other packets.
func (m *Memory) final(reason Reason, bytes int64) Reason {
	if reason == Overloaded && !m.Fits(bytes) {
		return TooLarge
	}
	return reason
}

// Fits reports whether one request may hold that many bytes, if no other request holds any and the
// journal is empty.
func (m *Memory) Fits(bytes int64) bool {
	return bytes <= m.limit.Load() && m.journal.Fits(int(bytes))
}

// Free ends a reservation.
func (m *Memory) Free(bytes int64) { m.held.Add(-bytes) }

// check returns the reason why there is no memory for further bytes, or "".
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
