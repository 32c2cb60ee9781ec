package upstream

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Delivery is a packet with the record of its way to the analyzers. Whoever holds the
// value owns the packet; the router and the analyzers pass it on as a value.
type Delivery struct {
	Packet *packet.Packet
	// Analyzer is the id of the analyzer that the packet is or was last bound to, empty
	// before the first binding, and Epoch the epoch of that membership. The router sets
	// them.
	Analyzer string
	Epoch    uint32
	// Attempted reports whether an analyzer may have received the packet since the
	// router last bound it.
	Attempted bool
	// DeadLetterPending reports whether the packet was rejected and its dead letter
	// could not be written; the router sets it.
	DeadLetterPending bool
	// Failures is nil until an attempt fails.
	Failures *FailureHistory
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

// VolumeOf returns the sum over the packets.
func VolumeOf(deliveries []Delivery) packet.Volume {
	var v packet.Volume
	for i := range deliveries {
		v.Add(deliveries[i].Packet)
	}
	return v
}

// AppendPackets appends the packets to dst.
func AppendPackets(dst []*packet.Packet, deliveries []Delivery) []*packet.Packet {
	for i := range deliveries {
		dst = append(dst, deliveries[i].Packet)
	}
	return dst
}
