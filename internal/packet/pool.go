package packet

import (
	"math/bits"
	"sync"
)

// Buffers come in classes, so that a small packet never pins a large one:
// powers of two, and what lies halfway between two of them.
const (
	smallestClassBits = 9  // 512 bytes
	largestClassBits  = 24 // 16 MiB; larger bodies are left to the garbage collector
	classes           = 2*(largestClassBits-smallestClassBits) + 1
)

// Pool lends packets with room for their bodies. The zero value is ready; it
// may be used concurrently and must not be copied.
type Pool struct {
	classes [classes]sync.Pool
}

// New returns a packet that holds a copy of body. The caller owns it until it
// hands it on; the last owner calls Release.
func (p *Pool) New(body []byte, info Info) *Packet {
	packet := p.Lend(len(body))
	packet.Body = append(packet.Body[:0], body...)
	packet.Info = info
	return packet
}

// Release gives the packet and its buffer back. The caller must not touch
// either afterwards.
func (p *Packet) Release() {
	if p.pool == nil || p.class < 0 {
		return
	}
	*p = Packet{Body: p.Body[:0], Analyzer: NoAnalyzer, pool: p.pool, class: p.class}
	p.pool.classes[p.class].Put(p)
}

// Lend returns an empty packet whose Body has room for size bytes. The caller
// owns it until it hands it on; the last owner calls Release.
func (p *Pool) Lend(size int) *Packet {
	class := classOf(size)
	if class >= classes {
		return &Packet{Body: make([]byte, 0, size), Analyzer: NoAnalyzer, pool: p, class: -1}
	}
	if packet, ok := p.classes[class].Get().(*Packet); ok {
		return packet
	}
	return &Packet{Body: make([]byte, 0, capacityOf(class)), Analyzer: NoAnalyzer, pool: p, class: class}
}

// classOf returns the smallest class for a size, which may be one too large.
func classOf(size int) int {
	if size <= 1<<smallestClassBits {
		return 0
	}
	above := bits.Len(uint(size - 1)) // of the power of two that is large enough
	class := 2 * (above - smallestClassBits)
	if size <= 3<<(above-2) {
		class--
	}
	return class
}

// capacityOf returns the size of a class's buffers.
func capacityOf(class int) int {
	below := smallestClassBits + class/2
	if class%2 == 0 {
		return 1 << below
	}
	return 3 << (below - 1)
}

// overheadBytes is roughly what a packet costs beside its buffer: the struct
// and its places in queues.
const overheadBytes = 256

// Footprint returns the bytes of memory that the packet holds.
func (p *Packet) Footprint() int64 {
	return int64(cap(p.Body)) + overheadBytes
}

// FootprintOf returns the bytes of memory that a packet with a body of size
// bytes will hold.
func FootprintOf(size int) int64 {
	if class := classOf(size); class < classes {
		size = capacityOf(class)
	}
	return int64(size) + overheadBytes
}
