package intake

import (
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// counters count packets since the start. The distributor exports them as metrics.
type counters struct {
	refused    map[string]*atomic.Int64 // by reason; the map never changes
	shed       [packet.LevelCritical + 1]atomic.Int64
	duplicates atomic.Int64
}

func newCounters(protocolReasons []string) *counters {
	c := &counters{refused: make(map[string]*atomic.Int64)}
	for _, reason := range protocolReasons {
		c.refused[reason] = new(atomic.Int64)
	}
	for _, reason := range Reasons() {
		c.refused[string(reason)] = new(atomic.Int64)
	}
	return c
}

// CountRefusal counts a request or a packet that a protocol refuses, for a reason of this package
// or of Dependencies.ProtocolReasons. Screen and batches count the packets that they refuse
// themselves.
func (i *Intake) CountRefusal(reason string) { i.counters.refused[reason].Add(1) }

// Refused returns how many packets were refused for a reason; a request that was refused before it
// was read counts as one packet.
func (i *Intake) Refused(reason string) int64 { return i.counters.refused[reason].Load() }

// ShedPackets returns how many packets of a level were shed.
func (i *Intake) ShedPackets(level packet.Level) int64 { return i.counters.shed[level].Load() }

// Duplicates returns how many packets were duplicates.
func (i *Intake) Duplicates() int64 { return i.counters.duplicates.Load() }
