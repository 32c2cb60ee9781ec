package packet

import "sync/atomic"

// Shared is a buffer with several packets, its parts, such as the lines of a request: they
// need no copies. It is given back once all of them are released, so a part that waits for
// long is to be copied out; see Own. One goroutine makes the parts and closes it; parts may
// be released concurrently.
type Shared struct {
	pool    *Pool
	buffer  *Packet
	release func(buffer *Packet)
	blocks  [][]Packet // of the parts, of which the first used are in use
	used    int
	// references counts the parts that are not released, plus unclosed until Close.
	references atomic.Int64
}

const (
	unclosed    = 1 << 40 // more than the number of parts
	blockParts  = 64
	pooledParts = 1 << 10 // that are kept for another buffer
)

// Share makes a shared buffer of that of a packet, and owns it until it calls release, once.
func (p *Pool) Share(buffer *Packet, release func(buffer *Packet)) *Shared {
	s, ok := p.shared.Get().(*Shared)
	if !ok {
		s = &Shared{pool: p}
	}
	s.buffer, s.release, s.used = buffer, release, 0
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

// Close ends the making of parts.
func (s *Shared) Close() { s.unreference(unclosed - int64(s.used)) }

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

// Own returns the packet with a buffer of its own, which is itself unless it is a part of
// another one. Then it is a copy, which takes the place of p.
func (p *Packet) Own() *Packet {
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
