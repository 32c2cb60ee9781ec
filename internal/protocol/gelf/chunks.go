package gelf

import (
	"net/netip"
	"time"
)

const (
	// A chunk begins with two bytes, the id of its record, its number and their number.
	chunkMagic  = "\x1e\x0f"
	chunkHeader = len(chunkMagic) + 8 + 2
	maxChunks   = 128
	// chunkTimeout is how long the chunks of a record may take.
	chunkTimeout = 5 * time.Second
	// Records of which chunks are missing are bounded in number and bytes.
	maxPartial      = 1024
	maxPartialBytes = 8 << 20
)

// chunkKey identifies a record of which chunks arrive.
type chunkKey struct {
	from netip.AddrPort
	id   [8]byte
}

// partial is a record of which chunks have arrived.
type partial struct {
	parts   [][]byte // nil for those that are missing
	missing int
	bytes   int
	begun   time.Time
}

// assembler joins chunks. It must not be used concurrently.
type assembler struct {
	records map[chunkKey]*partial
	order   []chunkKey // by begun; those that are complete are no longer in records
	bytes   int        // of all parts
	lost    lost
}

// lost counts the records whose chunks were dropped since it was last read.
type lost struct{ malformed, expired, overflowed int }

// add adds a datagram that begins with chunkMagic, and returns the record's payload if it is
// complete.
func (a *assembler) add(from netip.AddrPort, chunk []byte, now time.Time) (payload []byte) {
	if len(chunk) < chunkHeader {
		a.lost.malformed++
		return nil
	}
	key := chunkKey{from: from, id: [8]byte(chunk[len(chunkMagic):])}
	number, count, content := int(chunk[chunkHeader-2]), int(chunk[chunkHeader-1]), chunk[chunkHeader:]
	p := a.records[key]
	if count == 0 || count > maxChunks || number >= count || p != nil && len(p.parts) != count {
		a.drop(key)
		a.lost.malformed++
		return nil
	}
	if p == nil {
		p = a.begin(key, count, now)
	}
	if p.parts[number] != nil { // a duplicate
		return nil
	}
	p.parts[number] = append(make([]byte, 0, len(content)), content...)
	p.missing--
	p.bytes += len(content)
	if a.bytes += len(content); p.missing > 0 {
		a.bound()
		return nil
	}
	payload = make([]byte, 0, p.bytes)
	for _, part := range p.parts {
		payload = append(payload, part...)
	}
	a.drop(key)
	return payload
}

func (a *assembler) begin(key chunkKey, count int, now time.Time) *partial {
	if a.records == nil {
		a.records = make(map[chunkKey]*partial)
	}
	p := &partial{parts: make([][]byte, count), missing: count, begun: now}
	a.records[key] = p
	a.order = append(a.order, key)
	return p
}

func (a *assembler) drop(key chunkKey) {
	if p := a.records[key]; p != nil {
		a.bytes -= p.bytes
		delete(a.records, key)
	}
}

// bound drops the oldest records while there are too many.
func (a *assembler) bound() {
	for len(a.records) > maxPartial || a.bytes > maxPartialBytes {
		if a.dropOldest() {
			a.lost.overflowed++
		}
	}
}

// expire drops the records that began before a time.
func (a *assembler) expire(before time.Time) {
	for len(a.order) > 0 {
		if p := a.records[a.order[0]]; p != nil && p.begun.After(before) {
			return
		}
		if a.dropOldest() {
			a.lost.expired++
		}
	}
}

// dropOldest reports whether the first of order was not complete.
func (a *assembler) dropOldest() bool {
	key := a.order[0]
	a.order = a.order[1:]
	dropped := a.records[key] != nil
	a.drop(key)
	return dropped
}
