package packet

// Translate writes the body of a deferred packet into another one, which has capacity for it, and
// sets its Info.
type Translate func(deferred, into *Packet)

// Defer makes the packet, whose Body has its ids, a deferred packet whose body of the given size is
// not written: until Complete, Origin has the whole content of the packet. Its Size and its
// Footprint are those of the complete packet.
func (p *Packet) Defer(bytes int, translate Translate) { p.deferred, p.translate = bytes, translate }

// IsDeferred reports whether Body has the ids only, as emitter_id and packet_id.
func (p *Packet) IsDeferred() bool { return p.deferred > 0 }

// Size returns the length of the body, which may be deferred.
func (p *Packet) Size() int {
	if p.deferred > 0 {
		return p.deferred
	}
	return len(p.Body)
}

// Complete writes the body if it is deferred. Only the owner may call it.
func (p *Packet) Complete() {
	if p.deferred == 0 {
		return
	}
	whole := p.pool.Get(p.deferred)
	p.translate(p, whole)
	p.Body, whole.Body = whole.Body, p.Body
	p.class, whole.class = whole.class, p.class
	p.Info = whole.Info
	p.deferred, p.translate = 0, nil
	whole.Release()
	if p.originCopy != nil {
		p.dropOrigin()
	}
}

// CompleteAll completes packets. Only the owner of all of them may call it.
func CompleteAll(packets []*Packet) {
	for _, p := range packets {
		p.Complete()
	}
}
