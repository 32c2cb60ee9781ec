// Package packet defines the unit of routing: log messages that one emitter sent
// and that are delivered to one analyzer together. It validates packets in a single
// pass (Check), describes validation errors (Refusal) and pools buffers (Pool).
//
// A body is never modified, split or re-encoded: an analyzer receives exactly the
// bytes that the emitter sent.
package packet

import "time"

// Packet is a validated packet.
//
// It is immutable once a journal has taken it. It has one owner at a time (ingest, journal, router,
// upstream), which calls Release or passes it on.
type Packet struct {
	// Body is the JSON text that the emitter sent; it must not be modified. See Defer.
	Body []byte
	// Origin, unless nil, is the text that the packet was translated from, a resource_logs field of
	// OTLP, and has the same content as Body. It must not be modified.
	Origin []byte
	Info
	// Principal is the authenticated name of the emitter, or empty. A disk journal does not
	// keep it.
	Principal string
	// Content, unless empty, identifies the content of the packet instead of Body, for the
	// duplicate window: for example the hash of the request that the packet was made of.
	Content string
	// Traceparent is the emitter's W3C trace header, or empty.
	Traceparent string
	// Accepted is when the distributor accepted the packet.
	Accepted time.Time
	// Sequence is the journal's sequence number, and Slot the emitter's slot in
	// package emitterquota. The journal sets them when it takes the packet.
	Sequence uint64
	Slot     uint16
	// Pick is the number of the last recorded pick of the packet, modulo 2³², or 0. The
	// router sets it.
	Pick uint32
	// DeliveryChan, unless nil, receives one DeliveryResult. It must have capacity
	// for it, so that the send never blocks.
	DeliveryChan chan<- DeliveryResult

	ids    uint64  // see IDs
	pool   *Pool   // of the buffer; nil for none
	class  int     // of the buffer
	shared *Shared // the buffer that Body is a part of, or nil
	origin *Shared // the buffer that Origin is a part of, or nil

	deferred   int // length of the body if it is not written, or 0; see Defer
	translate  Translate
	originCopy *Packet // whose Body is Origin, or nil; see Own
}

// Line returns the body with a line break at its end. It reports false, and returns the body only,
// if the buffer has no capacity for the line break. Only the owner may call it.
func (p *Packet) Line() (line []byte, ended bool) {
	length := len(p.Body)
	switch {
	case p.shared == nil && p.Body[length-1] == '\n':
		return p.Body, true
	case cap(p.Body) == length:
		return p.Body, false
	}
	line = p.Body[:length+1]
	if p.shared == nil {
		line[length] = '\n'
	}
	return line, true
}

// DeliveryResult is the final state of a packet.
type DeliveryResult struct {
	// Analyzer is the id of the analyzer that accepted or rejected the packet.
	Analyzer string
	// Rejection is the reason of a rejection, empty for a delivery.
	Rejection string
}

// Info is the result of Check.
type Info struct {
	EmitterID Text
	PacketID  Text
	// Messages is the number of entries of "messages"; at least 1.
	Messages int
	// Level is the highest level of any message.
	Level Level
	// SpansLines reports whether the body contains a line break other than a
	// trailing one, so that it is not a valid line of NDJSON.
	SpansLines bool
}

// Volume is an amount of traffic.
type Volume struct {
	Packets  int64
	Messages int64
	// Bytes is the total Size of packets.
	Bytes int64
}

// Add adds one packet.
func (v *Volume) Add(p *Packet) {
	v.Packets++
	v.Messages += int64(p.Messages)
	v.Bytes += int64(p.Size())
}

// Subtract removes one packet.
func (v *Volume) Subtract(p *Packet) {
	v.Packets--
	v.Messages -= int64(p.Messages)
	v.Bytes -= int64(p.Size())
}

// Plus returns the sum of two volumes.
func (v Volume) Plus(w Volume) Volume {
	return Volume{v.Packets + w.Packets, v.Messages + w.Messages, v.Bytes + w.Bytes}
}

// Minus returns the difference of two volumes.
func (v Volume) Minus(w Volume) Volume {
	return Volume{v.Packets - w.Packets, v.Messages - w.Messages, v.Bytes - w.Bytes}
}

// VolumeOf returns the sum over packets.
func VolumeOf(packets []*Packet) Volume {
	var v Volume
	for _, p := range packets {
		v.Add(p)
	}
	return v
}
