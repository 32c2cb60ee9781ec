package router

import (
	"math"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// operation is what happened to the fair-share table, or to what explains it.
type operation uint8

const (
	opPick     operation = iota // a packet was charged to a member and staged
	opFull                      // a packet was charged to a member without capacity, and refunded
	opRefund                    // the charge of a returned packet was refunded
	opJoin                      // a member became active
	opOut                       // a member became inactive, or is inactive for another reason
	opWeight                    // the weight of a member in the table changed
	opCapacity                  // the capacity of a member changed
)

// cause is why a packet was picked for.
type cause uint8

const (
	causeFirst    cause = iota // it was never bound before
	causeAgain                 // an analyzer may have received it
	causeReturned              // the analyzer that held it returned it untouched
)

var causeNames = [...]string{"first", "again", "returned"}

func (c cause) String() string { return causeNames[c] }

// event is an operation with its arguments.
type event struct {
	op       operation
	at       int64 // microseconds since the recorder started
	member   int   // index of the table
	messages int   // of opPick, opFull and opRefund
	// Of opPick and opFull.
	avoid  int           // index of the member that the pick avoided, or -1
	waited time.Duration // since the packet was accepted
	cause  cause
	// capacity is the capacity, before the pick with opPick.
	capacity int
	// Of opWeight: the weight in the table is the configured one times the ramp.
	weight, ramp float64
	// Of opOut; until is in microseconds since 1970, 0 if it is not known.
	outage upstream.Outage
	until  int64
}

// entry is an event in 16 bytes: two words, whose fields are, from the lowest bit on,
//
//	at since the frame's start 32 · messages, outage or ramp in units of 2⁻¹⁸ 19 · member 10 · op 3
//	waited 32 · capacity 16 · avoid+1 11 · cause 2, or weight, until or capacity with 64
type entry [2]uint64

const (
	valueBit, memberBit, opBit         = 32, 51, 61
	valueBits, memberBits              = 19, 10
	capacityBit, avoidBit, causeBit    = 32, 48, 59
	capacityBits, avoidBits, causeBits = 16, 11, 2

	maxAt       = 1<<32 - 1
	maxCapacity = 1<<capacityBits - 1
	rampOne     = 1 << 18
	// longWait marks a wait that is in seconds.
	longWait = 1 << 31
)

func (e event) encode(frameStart int64) entry {
	at := uint64(min(max(e.at-frameStart, 0), maxAt))
	value, word := uint64(min(max(e.messages, 1), fairshare.MaxMessages)), uint64(0)
	switch e.op {
	case opPick, opFull:
		return encodePick(e.op, at, e.member, e.messages, e.avoid, e.capacity, e.cause, e.waited)
	case opOut:
		value, word = uint64(e.outage), uint64(e.until)
	case opWeight:
		value, word = uint64(e.ramp*rampOne+0.5), math.Float64bits(e.weight)
	case opCapacity:
		word = uint64(e.capacity)
	}
	return entry{at | value<<valueBit | uint64(e.member)<<memberBit | uint64(e.op)<<opBit, word}
}

// encodePick encodes opPick and opFull, at microseconds after the frame's start.
func encodePick(op operation, at uint64, member, messages, avoid, capacity int, why cause, waited time.Duration) entry {
	value := uint64(min(max(messages, 1), fairshare.MaxMessages))
	return entry{
		at&maxAt | value<<valueBit | uint64(member)<<memberBit | uint64(op)<<opBit,
		encodeWait(waited) | uint64(min(capacity, maxCapacity))<<capacityBit | uint64(avoid+1)<<avoidBit | uint64(why)<<causeBit,
	}
}

func (e entry) op() operation { return operation(e[0] >> opBit) }

func (e entry) decode(frameStart int64) event {
	value := int(bits(e[0], valueBit, valueBits))
	decoded := event{op: e.op(), at: frameStart + int64(bits(e[0], 0, valueBit)), member: int(bits(e[0], memberBit, memberBits)), avoid: -1}
	switch decoded.op {
	case opPick, opFull:
		decoded.messages, decoded.waited = value, decodeWait(bits(e[1], 0, capacityBit))
		decoded.capacity, decoded.avoid = int(bits(e[1], capacityBit, capacityBits)), int(bits(e[1], avoidBit, avoidBits))-1
		decoded.cause = cause(bits(e[1], causeBit, causeBits))
	case opRefund:
		decoded.messages = value
	case opOut:
		decoded.outage, decoded.until = upstream.Outage(value), int64(e[1])
	case opWeight:
		decoded.ramp, decoded.weight = float64(value)/rampOne, math.Float64frombits(e[1])
	case opCapacity:
		decoded.capacity = int(e[1])
	}
	return decoded
}

// bits returns a field of a word.
func bits(word uint64, from, n int) uint64 { return word >> from & (1<<n - 1) }

// encodeWait returns a duration in microseconds, or from 35 minutes on in seconds.
func encodeWait(wait time.Duration) uint64 {
	if micros := wait.Microseconds(); micros < longWait {
		return uint64(max(micros, 0))
	}
	return longWait | min(uint64(wait/time.Second), longWait-1)
}

func decodeWait(field uint64) time.Duration {
	if field&longWait != 0 {
		return time.Duration(field&^longWait) * time.Second
	}
	return time.Duration(field) * time.Microsecond
}
