// Package packet is the unit of work: what one emitter sent in one piece, and
// what one analyzer will get in one piece. It checks a packet's bytes without
// building a tree of them (Check), names what is wrong with them (Refusal), and
// lends out the buffers that packets travel in (Pool).
//
// The bytes are never changed, split or encoded again: an analyzer receives
// exactly what the emitter sent.
package packet

import "time"

// Packet is a checked packet on its way from an emitter to an analyzer.
//
// It has one owner at a time (ingest, journal, dispatch, upstream), and only
// the owner reads or writes it. The last owner calls Release.
type Packet struct {
	// Body is the JSON text that the emitter sent; it must not be modified.
	Body []byte
	Info
	// Traceparent is the emitter's W3C trace header, or empty.
	Traceparent string
	// Accepted is when the distributor took responsibility.
	Accepted time.Time
	// Sequence is the packet's place in the journal; the journal sets it.
	Sequence uint64
	// Slot groups emitters to share a bounded room; the journal sets it.
	Slot uint16
	// Analyzer is the position of the analyzer that the packet is bound to or
	// that last failed to take it, NoAnalyzer before; dispatch sets it.
	Analyzer int
	// Stay is during which of the analyzer's stays in the running it was bound
	// to it; dispatch's.
	Stay uint32
	// Tried tells that an analyzer may have seen it since dispatch took it last.
	Tried bool
	// Unwritten tells that it would be a dead letter if that could be written, and is
	// tried again; dispatch's.
	Unwritten bool
	// Trouble is nil until a visit to an analyzer fails.
	Trouble *Trouble
	// Receipt, unless nil, is told once what became of the packet. It has room
	// for that, so that telling never waits.
	Receipt chan<- Outcome

	pool  *Pool
	class int
}

// Trouble is what is known of a packet with which requests failed.
type Trouble struct {
	// Since is when a visit to an analyzer failed first, Last when one did last,
	// and Cause how. Visits counts them.
	Since, Last time.Time
	Cause       string
	Visits      int
	// Company is how many packets shared the last request that failed, this one
	// included.
	Company int
	// Strikes counts the visits that failed although the packet was alone and the
	// analyzer works: it has taken others since Last.
	Strikes int

	// Due is when it may visit an analyzer again, Counted how many visits have
	// been waited for, and Apart tells that it is among those that keep failing.
	// They are dispatch's.
	Due     time.Time
	Counted int
	Apart   bool
}

// Outcome is how a packet ended.
type Outcome struct {
	// Analyzer took it, or refused it for good.
	Analyzer string
	// Refusal is why it was refused, empty when it was delivered.
	Refusal string
}

// NoAnalyzer is the value of Packet.Analyzer before the first binding.
const NoAnalyzer = -1

// Info is what Check learns about a packet.
type Info struct {
	EmitterID Text
	PacketID  Text
	// Messages is the number of entries of "messages"; at least 1.
	Messages int
	// Level is the highest level of any message.
	Level Level
	// SpansLines tells that there is a line break within the body, one at its
	// very end aside, so that it cannot be a line of NDJSON as it is.
	SpansLines bool
}

// Volume is an amount of traffic.
type Volume struct {
	Packets  int64
	Messages int64
	// Bytes counts packets' bodies.
	Bytes int64
}

// Add adds one packet.
func (v *Volume) Add(p *Packet) {
	v.Packets++
	v.Messages += int64(p.Messages)
	v.Bytes += int64(len(p.Body))
}

// Subtract takes one packet away.
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
