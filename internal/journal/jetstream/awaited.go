package jetstream

import (
	"encoding/json"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// maxAwaited bounds the emitters that wait for a delivery. Beyond it the oldest get no result: their
// requests may have timed out, or the messages with their results were lost with a connection.
const maxAwaited = 1 << 14

// awaited has the channels of packets whose emitters wait at this distributor for the delivery, by
// the token in their records. Any distributor may deliver the packets.
type awaited struct {
	last  uint64
	first uint64 // no token below it is in chans
	chans map[uint64]chan<- packet.DeliveryResult
}

// add returns the token of a packet, 0 if no emitter waits for its result.
func (a *awaited) add(p *packet.Packet) uint64 {
	if p.DeliveryChan == nil {
		return 0
	}
	if a.chans == nil {
		a.chans = make(map[uint64]chan<- packet.DeliveryResult)
	}
	for ; len(a.chans) >= maxAwaited; a.first++ {
		delete(a.chans, a.first)
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
	if c != nil && token >= a.first && len(a.chans) < maxAwaited {
		a.chans[token] = c
	}
}

// awaitedResult is the pending result of a packet of a claim, whose emitter waits at this
// distributor or at the one that accepted the packet.
type awaitedResult struct {
	slot    int
	token   uint64
	here    chan<- packet.DeliveryResult // channel of the emitter, nil if it waits at another distributor
	subject string                       // name of the other distributor
	result  chan packet.DeliveryResult   // token at the other distributor
}

// tokenOf returns the token of a packet, 0 if no emitter waits for its result.
func (c *claim) tokenOf(slot int) uint64 {
	for _, one := range c.results {
		if one.slot == slot {
			return one.token
		}
	}
	return 0
}

// restoreAwaitedLocked keeps the channels of packets that are returned.
func (j *Journal) restoreAwaitedLocked(c *claim) {
	for _, one := range c.results {
		if c.slots[one.slot] != slotEnded {
			j.awaited.put(one.token, one.here)
		}
	}
}

// deliveryNotice is the message to the distributor where the emitter waits.
type deliveryNotice struct {
	Token     uint64 `json:"token"`
	Analyzer  string `json:"analyzer"`
	Rejection string `json:"rejection,omitempty"`
}

// takeResult returns the message about an ended packet whose emitter waits at another distributor.
func (c *claim) takeResult(slot int) (note ack, ok bool) {
	for _, one := range c.results {
		if one.slot != slot || one.result == nil {
			continue
		}
		select {
		case result := <-one.result:
			data, err := json.Marshal(deliveryNotice{one.token, result.Analyzer, result.Rejection})
			return ack{one.subject, data, nil}, err == nil
		default:
			return ack{}, false
		}
	}
	return ack{}, false
}

// noted handles the result of a packet that another distributor delivered.
func (j *Journal) noted(data []byte) {
	var note deliveryNotice
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
