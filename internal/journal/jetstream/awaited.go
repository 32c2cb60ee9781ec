package jetstream

import (
	"encoding/json"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// maxAwaited bounds the emitters that wait for a delivery; further ones get no result.
const maxAwaited = 1 << 14

// awaited has the channels of packets whose emitters wait here for the delivery, by the token
// in their records. The packets may be delivered by any distributor.
type awaited struct {
	last  uint64
	chans map[uint64]chan<- packet.DeliveryResult
}

// add returns the token of a packet, 0 if nobody waits for it.
func (a *awaited) add(p *packet.Packet) uint64 {
	if p.DeliveryChan == nil || len(a.chans) >= maxAwaited {
		return 0
	}
	if a.chans == nil {
		a.chans = make(map[uint64]chan<- packet.DeliveryResult)
	}
	a.last++
	a.chans[a.last] = p.DeliveryChan
	return a.last
}

// take removes and returns a channel, nil if there is none.
func (a *awaited) take(token uint64) chan<- packet.DeliveryResult {
	c := a.chans[token]
	delete(a.chans, token)
	return c
}

// put adds a channel again.
func (a *awaited) put(token uint64, c chan<- packet.DeliveryResult) {
	if c != nil && len(a.chans) < maxAwaited {
		a.chans[token] = c
	}
}

// awaitedResult is a packet of a claim whose delivery is awaited, here or at the distributor
// that accepted it.
type awaitedResult struct {
	slot    int
	token   uint64
	here    chan<- packet.DeliveryResult // of the emitter, nil if it waits elsewhere
	subject string                       // of the other distributor
	result  chan packet.DeliveryResult   // for the other distributor
}

// tokenOf returns the token of a packet, 0 if nobody waits for it.
func (c *claim) tokenOf(slot int) uint64 {
	for _, one := range c.results {
		if one.slot == slot {
			return one.token
		}
	}
	return 0
}

// restoreAwaitedLocked keeps the channels of packets that are given back.
func (j *Journal) restoreAwaitedLocked(c *claim) {
	for _, one := range c.results {
		if c.slots[one.slot] != slotEnded {
			j.awaited.put(one.token, one.here)
		}
	}
}

// deliveryNote is the message to the distributor whose emitter waits.
type deliveryNote struct {
	Token     uint64 `json:"token"`
	Analyzer  string `json:"analyzer"`
	Rejection string `json:"rejection,omitempty"`
}

// takeResult returns the message about an ended packet for which an emitter waits elsewhere.
func (c *claim) takeResult(slot int) (note ack, ok bool) {
	for _, one := range c.results {
		if one.slot != slot || one.result == nil {
			continue
		}
		select {
		case result := <-one.result:
			data, err := json.Marshal(deliveryNote{one.token, result.Analyzer, result.Rejection})
			return ack{one.subject, data}, err == nil
		default:
			return ack{}, false
		}
	}
	return ack{}, false
}

// noted passes the result of a packet on that another distributor delivered.
func (j *Journal) noted(data []byte) {
	var note deliveryNote
	if json.Unmarshal(data, &note) != nil {
		return
	}
	j.mu.Lock()
	result := j.awaited.take(note.Token)
	j.mu.Unlock()
	if result != nil {
		result <- packet.DeliveryResult{Analyzer: note.Analyzer, Rejection: note.Rejection}
	}
}
