package analyzer

import (
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// How messages are counted by service: by name for the first maxServices
// different ones. Both constants bound what a hostile sender can fill.
const (
	maxServices         = 100
	maxServiceNameBytes = 128
)

// The names under which messages are counted that have no service, and those
// of services beyond the limits.
const (
	noService     = "none"
	otherServices = "other"
)

const levels = packet.LevelCritical + 1 // with 0 for unknown names

// tally counts. Its counters only grow and may be used concurrently.
type tally struct {
	packets    atomic.Int64
	messages   atomic.Int64
	duplicates atomic.Int64 // packets
	byLevel    [levels]atomic.Int64
	refused    map[problem.Code]*atomic.Int64 // packets; the map never changes

	mu        sync.RWMutex
	byService map[string]*atomic.Int64 // guarded by mu; at most maxServices + 2
}

// refusals are the reasons for which an analyzer refuses a packet.
var refusals = [...]problem.Code{
	problem.Malformed, problem.InvalidPacket, problem.TooLarge,
	problem.UnsupportedMediaType, problem.UnsupportedEncoding,
}

func newTally() *tally {
	t := &tally{
		refused: make(map[problem.Code]*atomic.Int64),
		byService: map[string]*atomic.Int64{
			noService:     new(atomic.Int64),
			otherServices: new(atomic.Int64),
		},
	}
	for _, code := range refusals {
		t.refused[code] = new(atomic.Int64)
	}
	return t
}

// observe counts one packet's messages.
func (t *tally) observe(messages []message) {
	t.packets.Add(1)
	t.messages.Add(int64(len(messages)))
	for i := range messages {
		t.byLevel[messages[i].level].Add(1)
		t.ofService(messages[i].service).Add(1)
	}
}

// refuse counts one refused packet and tells whether it is the first of its
// code.
func (t *tally) refuse(code problem.Code) (first bool) {
	counter := t.refused[code]
	return counter != nil && counter.Add(1) == 1
}

func (t *tally) ofService(name []byte) *atomic.Int64 {
	if len(name) == 0 {
		name = []byte(noService)
	}
	t.mu.RLock()
	counter := t.byService[string(name)]
	t.mu.RUnlock()
	if counter != nil {
		return counter
	}
	return t.ofNewService(name)
}

func (t *tally) ofNewService(name []byte) *atomic.Int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if counter := t.byService[string(name)]; counter != nil {
		return counter // another goroutine was quicker
	}
	if len(name) > maxServiceNameBytes || len(t.byService) == maxServices+2 {
		return t.byService[otherServices]
	}
	counter := new(atomic.Int64)
	t.byService[string(name)] = counter
	return counter
}
