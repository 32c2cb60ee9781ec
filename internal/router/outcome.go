package router

import (
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/upstream"
)

// outcome is what became of a packet after a pick.
type outcome uint8

const (
	outcomeWaiting      outcome = iota // the analyzer holds it
	outcomeDelivered                   // the analyzer accepted it
	outcomeRerouted                    // the analyzer returned it: it is picked for again
	outcomeDeadLettered                // its dead letter is stored
)

var outcomeNames = [...]string{"waiting", "delivered", "rerouted", "dead_lettered"}

func (o outcome) String() string { return outcomeNames[o] }

// An outcome is one word, so that senders and readers need no lock. Its fields are, from the
// lowest bit on: microseconds since the recorder started 38 · attempts 7 · outcome 3 · bits
// 16 to 31 of the sequence number of the pick, which distinguish the pick from an earlier one at
// the same place in the ring.
const (
	attemptsBit, outcomeBit, pickBit = 38, 45, 48
	attemptsBits, outcomeBits        = 7, 3
	maxAttempts                      = 1<<attemptsBits - 1
)

// recordOutcomes records what became of packets. It must be called by their owner.
func (r *Router) recordOutcomes(deliveries []upstream.Delivery, state outcome) {
	rec := r.recorder
	if rec == nil {
		return
	}
	at := uint64(rec.micros(time.Now())) & (1<<attemptsBit - 1)
	for i := range deliveries {
		d := &deliveries[i]
		pick := d.Packet.Pick
		if pick == 0 {
			continue
		}
		attempts := 1
		if state == outcomeRerouted {
			attempts = 0
		}
		if d.Failures != nil {
			attempts += d.Failures.Attempts
		}
		slot := rec.outcome(uint64(pick))
		before := slot.Load()
		if int16(uint16(pick>>16)-uint16(before>>pickBit)) >= 0 { // else a later pick is at its place
			slot.CompareAndSwap(before, at|uint64(min(attempts, maxAttempts))<<attemptsBit|uint64(state)<<outcomeBit|uint64(pick>>16)<<pickBit)
		}
	}
}

// outcome returns the place of a pick's outcome.
func (rec *recorder) outcome(sequence uint64) *atomic.Uint64 {
	return &rec.frameAt(sequence).outcomes[sequence%frameEntries]
}

// Outcome is what became of a packet after a pick.
type Outcome struct {
	// State is waiting, delivered, rerouted or dead_lettered.
	State string
	// Attempts counts the failed requests with the packet since it was accepted, and the
	// last one if it succeeded.
	Attempts int
	// LatencyMS is the time from the pick to the outcome in milliseconds.
	LatencyMS float64
}

// outcomeOf returns the outcome of a pick that was made at a time. It may be called
// concurrently.
func (rec *recorder) outcomeOf(sequence uint64, at int64) Outcome {
	word := rec.outcome(sequence).Load()
	if uint16(word>>pickBit) != uint16(sequence>>16) {
		return Outcome{State: outcomeWaiting.String()}
	}
	latency := (word - uint64(at)) & (1<<attemptsBit - 1)
	return Outcome{
		State: outcome(bits(word, outcomeBit, outcomeBits)).String(), Attempts: int(bits(word, attemptsBit, attemptsBits)),
		LatencyMS: float64(latency) / 1000,
	}
}
