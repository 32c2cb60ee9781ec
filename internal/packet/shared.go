package packet

import "sync/atomic"

// Shared is a buffer with the bodies of several packets, its parts, such as the lines of a request:
// they need no copies. Origins of packets may be in the buffer, too. The buffer is released when
// all of them are released, so that a packet that waits for long must not refer to it; see Own. One
// goroutine makes the parts and closes the buffer; parts may be released concurrently.
type Shared struct {
	pool    *Pool
	buffer  *Packet
	release func(buffer *Packet)
	blocks  [][]Packet // of the parts, of which the first used are in use
	used    int
	origins int // packets whose origins are attached
	// references counts the parts and origins that are not released, plus unclosed until Close.
	references atomic.Int64
}

const (
	unclosed    = 1 << 40 // exceeds the number of parts
	blockParts  = 64
	pooledParts = 1 << 10 // memory for another buffer
)

// Share makes a shared buffer of the buffer of a packet, and owns the packet until it calls
// release, once.
func (p *Pool) Share(buffer *Packet, release func(buffer *Packet)) *Shared {
	s, ok := p.shared.Get().(*Shared)
	if !ok {
		s = &Shared{pool: p}
	}
	s.buffer, s.release, s.used, s.origins = buffer, release, 0, 0
	s.references.Store(unclosed)
	return s
}

// Part returns a packet with a body that is part of the buffer, owned by the caller.
func (s *Shared) Part(body []byte) *Packet {
	length := len(body)
	size := length
	if cap(body) > length && body[:length+1][length] == '\n' {
		size++ // see Line
	}
	block, index := s.used/blockParts, s.used%blockParts
	if block == len(s.blocks) {
		s.blocks = append(s.blocks, make([]Packet, blockParts))
	}
	part := &s.blocks[block][index]
	*part = Packet{Body: body[:length:size], shared: s}
	s.used++
	return part
}

// Attach makes a part of the buffer the Origin of a packet without one.
func (s *Shared) Attach(p *Packet, origin []byte) {
	p.Origin, p.origin = origin, s
	s.origins++
}

func (p *Packet) dropOrigin() {
	s, own := p.origin, p.originCopy
	p.Origin, p.origin, p.originCopy = nil, nil, nil
	if s != nil {
		s.unreference(1)
	}
	if own != nil {
		own.Release()
	}
}

// ownOrigin replaces the Origin of a deferred packet with a copy, if packet and copy take no more
// memory than the complete packet; otherwise it completes the packet and drops the Origin.
func (p *Packet) ownOrigin() {
	if p.originCopy != nil {
		return
	}
	ids := int64(cap(p.Body)) + overheadBytes
	if ids+FootprintOf(len(p.Origin)) > p.Footprint() {
		p.Complete()
		p.dropOrigin()
		return
	}
	own := p.pool.New(p.Origin, Info{})
	p.dropOrigin()
	p.Origin, p.originCopy = own.Body, own
}

// Close ends the making of parts and origins.
func (s *Shared) Close() { s.unreference(unclosed - int64(s.used+s.origins)) }

func (s *Shared) unreference(n int64) {
	if s.references.Add(-n) != 0 {
		return
	}
	buffer, release := s.buffer, s.release
	s.buffer, s.release = nil, nil
	if len(s.blocks) <= pooledParts/blockParts {
		s.pool.shared.Put(s)
	}
	release(buffer)
}

// Own returns the packet with buffers of its own, and without its Origin unless it is deferred. It
// returns p itself unless p is a part of another buffer; then it returns a copy that replaces p.
func (p *Packet) Own() *Packet {
	if p.deferred > 0 {
		p.ownOrigin()
		return p
	}
	p.dropOrigin()
	if p.shared == nil {
		return p
	}
	own := p.shared.pool.Get(len(p.Body))
	buffer, pool, class := append(own.Body, p.Body...), own.pool, own.class
	*own = *p
	own.Body, own.pool, own.class, own.shared = buffer, pool, class, nil
	p.Release()
	return own
}
