package analyzer

import (
	"sync"
	"sync/atomic"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Messages are counted by the names of the first maxServices services. Both
// constants bound the memory that a hostile sender can use.
const (
	maxServices         = 100
	maxServiceNameBytes = 128
)

// The service names of messages without a service, and of services beyond the
// limits.
const (
	noService     = "none"
	otherServices = "other"
)

const levels = packet.LevelCritical + 1 // with 0 for unknown names

// counters only grow. Safe for concurrent use.
type counters struct {
	packets    atomic.Int64
	messages   atomic.Int64
	duplicates atomic.Int64 // packets
	traced     atomic.Int64 // packets
	byLevel    [levels]atomic.Int64
	refused    map[problem.Code]*atomic.Int64 // packets; the map never changes

	mu        sync.RWMutex
	byService map[string]*atomic.Int64 // guarded by mu; at most maxServices + 2
}

// refusalCodes are the codes with which an analyzer refuses a packet.
var refusalCodes = [...]problem.Code{
	problem.Malformed, problem.InvalidPacket, problem.TooLarge,
	problem.UnsupportedMediaType, problem.UnsupportedEncoding,
}

func newCounters() *counters {
	t := &counters{
		refused: make(map[problem.Code]*atomic.Int64),
		byService: map[string]*atomic.Int64{
			noService:     new(atomic.Int64),
			otherServices: new(atomic.Int64),
		},
	}
	for _, code := range refusalCodes {
		t.refused[code] = new(atomic.Int64)
	}
	return t
}

// observe counts the messages of one packet.
func (t *counters) observe(messages []message) {
	t.packets.Add(1)
	t.messages.Add(int64(len(messages)))
	for i := range messages {
		t.byLevel[messages[i].level].Add(1)
		t.serviceCounter(messages[i].service).Add(1)
	}
}

// refuse counts one refused packet and reports whether it is the first of its
// code.
func (t *counters) refuse(code problem.Code) (first bool) {
	counter := t.refused[code]
	return counter != nil && counter.Add(1) == 1
}

func (t *counters) serviceCounter(name []byte) *atomic.Int64 {
	if len(name) == 0 {
		name = []byte(noService)
	}
	t.mu.RLock()
	counter := t.byService[string(name)]
	t.mu.RUnlock()
	if counter != nil {
		return counter
	}
	return t.addService(name)
}

func (t *counters) addService(name []byte) *atomic.Int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if counter := t.byService[string(name)]; counter != nil {
		return counter // added concurrently
	}
	if len(name) > maxServiceNameBytes || len(t.byService) == maxServices+2 {
		return t.byService[otherServices]
	}
	counter := new(atomic.Int64)
	t.byService[string(name)] = counter
	return counter
}
