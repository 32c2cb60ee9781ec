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
// It has one owner at a time (ingest, journal, router, upstream), and only the
// owner accesses it. The last owner calls Release.
type Packet struct {
	// Body is the JSON text that the emitter sent; it must not be modified.
	Body []byte
	Info
	// Traceparent is the emitter's W3C trace header, or empty.
	Traceparent string
	// Accepted is when the distributor accepted the packet.
	Accepted time.Time
	// Sequence is the journal's sequence number; the journal sets it.
	Sequence uint64
	// Slot is the emitter's slot in package emitterquota; the journal sets it.
	Slot uint16
	// Analyzer is the position of the analyzer that the packet is or was last bound
	// to, or NoAnalyzer; the router sets it.
	Analyzer int
	// Epoch is the epoch of the router's member at the binding; the router sets it.
	Epoch uint32
	// Attempted reports whether an analyzer may have received the packet since the
	// router last bound it.
	Attempted bool
	// DeadLetterPending reports whether the packet was rejected and its dead letter
	// could not be written; the router sets it.
	DeadLetterPending bool
	// Failures is nil until an attempt fails.
	Failures *FailureHistory
	// DeliveryChan, unless nil, receives one DeliveryResult. It must have capacity
	// for it, so that the send never blocks.
	DeliveryChan chan<- DeliveryResult

	pool  *Pool
	class int
}

// FailureHistory describes the failed delivery attempts of a packet.
type FailureHistory struct {
	// Since and Last are the times of the first and of the last failure, Cause is
	// the error of the last one, and Attempts is the number of failures.
	Since, Last time.Time
	Cause       string
	Attempts    int
	// LastBatchSize is the number of packets in the last request that failed.
	LastBatchSize int
	// IsolatedFailures counts the failures of requests with this packet alone, at
	// analyzers that accepted other packets since Last.
	IsolatedFailures int

	// Due is the time of the next attempt, ScheduledAttempts is the value of
	// Attempts for which Due was set, and Quarantined reports whether the packet
	// keeps failing. The router sets them.
	Due               time.Time
	ScheduledAttempts int
	Quarantined       bool
}

// DeliveryResult is the final state of a packet.
type DeliveryResult struct {
	// Analyzer is the id of the analyzer that accepted or rejected the packet.
	Analyzer string
	// Rejection is the reason of a rejection, empty for a delivery.
	Rejection string
}

// NoAnalyzer is the value of Packet.Analyzer before the first binding.
const NoAnalyzer = -1

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
	// Bytes is the total length of bodies.
	Bytes int64
}

// Add adds one packet.
func (v *Volume) Add(p *Packet) {
	v.Packets++
	v.Messages += int64(p.Messages)
	v.Bytes += int64(len(p.Body))
}

// Subtract removes one packet.
func (v *Volume) Subtract(p *Packet) {
	v.Packets--
	v.Messages -= int64(p.Messages)
	v.Bytes -= int64(len(p.Body))
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
