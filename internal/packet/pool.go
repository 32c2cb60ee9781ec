package packet

import (
	"math/bits"
	"sync"
)

// Buffers have size classes, so that a small packet never retains a large buffer: powers of two and
// the midpoints between them.
const (
	minClassBits = 9  // 512 bytes
	maxClassBits = 24 // 16 MiB; larger bodies are not pooled
	classes      = 2*(maxClassBits-minClassBits) + 1
)

// Pool is a pool of packets and their buffers. The zero value is ready; it may be
// used concurrently and must not be copied.
type Pool struct {
	classes [classes]sync.Pool
	shared  sync.Pool // of *Shared
}

// New returns a packet with a copy of body, owned by the caller.
func (p *Pool) New(body []byte, info Info) *Packet {
	packet := p.Get(len(body))
	packet.Body = append(packet.Body[:0], body...)
	packet.Info = info
	return packet
}

// Release returns the packet and its buffer to the pool. The caller must not use
// either afterwards.
func (p *Packet) Release() {
	p.dropOrigin()
	if s := p.shared; s != nil {
		p.Body, p.shared = nil, nil
		s.unreference(1)
		return
	}
	if p.pool == nil || p.class < 0 {
		return
	}
	*p = Packet{Body: p.Body[:0], pool: p.pool, class: p.class}
	p.pool.classes[p.class].Put(p)
}

// Get returns an empty packet with a Body of capacity size or more, owned by the
// caller.
func (p *Pool) Get(size int) *Packet {
	class := classOf(size)
	if class >= classes {
		return &Packet{Body: make([]byte, 0, size), pool: p, class: -1}
	}
	if packet, ok := p.classes[class].Get().(*Packet); ok {
		return packet
	}
	return &Packet{Body: make([]byte, 0, capacityOf(class)), pool: p, class: class}
}

// classOf returns the smallest class for a size, or a number of classes or more if no class is
// large enough.
func classOf(size int) int {
	if size <= 1<<minClassBits {
		return 0
	}
	above := bits.Len(uint(size - 1)) // log2 of the next power of two
	class := 2 * (above - minClassBits)
	if size <= 3<<(above-2) {
		class--
	}
	return class
}

// capacityOf returns the buffer size of a class.
func capacityOf(class int) int {
	below := minClassBits + class/2
	if class%2 == 0 {
		return 1 << below
	}
	return 3 << (below - 1)
}

// overheadBytes estimates the memory of a packet without its buffer: the struct and its slots in
// queues.
const overheadBytes = 256

// Footprint returns the memory of the packet in bytes. For a part of a shared buffer it is the
// footprint of a copy, and for a deferred packet that of the complete packet, so that Own and
// Complete do not change it.
func (p *Packet) Footprint() int64 {
	if p.shared != nil || p.deferred > 0 {
		return FootprintOf(p.Size())
	}
	return int64(cap(p.Body)) + overheadBytes
}

// FootprintOf returns the Footprint of a packet with a body of size bytes.
func FootprintOf(size int) int64 {
	if class := classOf(size); class < classes {
		size = capacityOf(class)
	}
	return int64(size) + overheadBytes
}
