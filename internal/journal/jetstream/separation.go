package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// The remaining packets of an envelope can become an envelope of their own, whose id is derived
// from the old id and the slots: when the envelope is returned (republishLocked), or when some
// packets are slow and the others have ended (separate). In the second case this process holds the
// packets, and another process that receives the new envelope offers it to this one.
const (
	holderHeader = "Logstreamer-Holder"
	offerTimeout = time.Second
	// maxStuck bounds the envelopes that are checked in one round.
	maxStuck = 4
)

// rootOf returns the id that the accepting distributor assigned.
func rootOf(id string) string {
	root, _, _ := strings.Cut(id, "/")
	return root
}

// publisherOf returns the name of the distributor that accepted the packets.
func publisherOf(id string) string {
	root := rootOf(id)
	return root[:max(strings.LastIndexByte(root, '-'), 0)]
}

// derivedID returns the id of an envelope with some slots of another one.
func derivedID(id string, slots []int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v", id, slots))
	return rootOf(id) + "/" + hex.EncodeToString(sum[:12])
}

func (j *Journal) notesSubject(name string) string {
	return j.config.Stream + ".distributor." + name + ".delivered"
}

func (j *Journal) offersSubject(name string) string {
	return j.config.Stream + ".distributor." + name + ".offers"
}

// republishLocked publishes the remaining packets of an envelope. It returns false if it cannot
// now.
func (j *Journal) republishLocked(c *claim, packets []*packet.Packet) bool {
	if !j.canRepublishLocked(c) {
		return false
	}
	to := j.partitionForRestLocked(c)
	slots := make([]int, len(packets))
	for i, p := range packets {
		slots[i] = slotOf(p.Sequence)
	}
	o := j.newPublicationLocked(to)
	o.id, o.moved = derivedID(c.id, slots), c
	o.data = beginEnvelope(o.data, o.id, len(packets))
	for i, p := range packets {
		o.data = appendRecord(o.data, p, c.tokenOf(slots[i]))
	}
	j.publishMovedLocked(o)
	return true
}

func (j *Journal) canRepublishLocked(c *claim) bool {
	return j.partitionForRestLocked(c) != nil && j.link.IsConnected()
}

// partitionForRestLocked returns the stream for the remaining packets of an envelope, nil if there
// is none: the envelope's own stream, even if that does not answer now, or another one while it is
// full. Returning the whole envelope instead would deliver the ended packets again.
func (j *Journal) partitionForRestLocked(c *claim) *partition {
	if p := c.partition; p.publishes && p.ready && !p.full {
		return p
	}
	for _, p := range j.partitions {
		if p.usable() {
			return p
		}
	}
	return nil
}

func (j *Journal) publishMovedLocked(o *publication) {
	o.moved.moving = true
	o.partition.expect(o.begun)
	j.published[o.number] = o
	j.sending.Wake()
}

// movedLocked ends an envelope after its remaining packets were published, or could not be
// published.
func (j *Journal) movedLocked(o *publication, err error) {
	c := o.moved
	c.moving = false
	switch {
	case o.held == nil && err == nil:
		j.endLocked(c)
	case o.held == nil:
		j.forgetLocked(c)
		j.replyLocked(c, ackReturn)
	case err == nil:
		for _, reply := range o.held.replies {
			j.acks = append(j.acks, ack{reply, ackDone, c.partition})
		}
		j.rememberEndedLocked(c.id, time.Now())
		c.id, c.stored = o.id, o.held.slots
	default:
		delete(j.byID, o.id)
		c.copies = append(c.copies, o.held.replies...)
	}
	if o.held != nil && c.isEmpty() && j.claims[c.number] == c {
		j.endLocked(c)
	}
	j.keeping.Wake()
}

// heldPackets are packets that stay in this process while their envelope is replaced.
type heldPackets struct {
	replies []string
	slots   []int // of the old envelope
}

// partlyEnded is an envelope with some ended and some slow packets.
type partlyEnded struct {
	claim    *claim
	stream   string
	sequence uint64
}

func (j *Journal) findPartlyEndedLocked(now time.Time) (found []partlyEnded) {
	for _, c := range j.claims {
		if now.Sub(c.received) > j.stuckAfter && !c.moving && c.queued == 0 && c.claimed < len(c.slotsStored()) && c.reply != "" && len(found) < maxStuck {
			found = append(found, partlyEnded{c, c.partition.stream, c.sequence})
		}
	}
	return found
}

// slotsStored returns the slots in the order of the records in the stream.
func (c *claim) slotsStored() []int {
	if c.stored == nil {
		c.stored = make([]int, len(c.slots))
		for i := range c.stored {
			c.stored[i] = i
		}
	}
	return c.stored
}

// separate gives slow packets an envelope of their own, so that ended packets take no space in the
// stream. It reads the bytes from the stream, because the packets themselves are in use.
func (j *Journal) separate(ctx context.Context, all []partlyEnded) {
	for _, one := range all {
		ctx, cancel := context.WithTimeout(ctx, natslink.APITimeout)
		data, err := j.readMessage(ctx, one.stream, one.sequence)
		cancel()
		if err != nil {
			continue // in a later round
		}
		if e, err := parseEnvelope(data); err == nil {
			j.mu.Lock()
			j.separateLocked(one.claim, &e)
			j.mu.Unlock()
		}
	}
}

func (j *Journal) readMessage(ctx context.Context, stream string, sequence uint64) ([]byte, error) {
	s, err := j.link.JetStream.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	m, err := s.GetMsg(ctx, sequence)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (j *Journal) separateLocked(c *claim, e *envelope) {
	if j.claims[c.number] != c || c.moving || c.id != e.id || len(e.records) != len(c.slotsStored()) || !c.partition.usable() {
		return
	}
	var slots, records []int
	for record, slot := range c.stored {
		if c.slots[slot] != slotEnded {
			slots, records = append(slots, slot), append(records, record)
		}
	}
	if len(slots) == 0 {
		return
	}
	o := j.newPublicationLocked(c.partition)
	o.id, o.moved = derivedID(c.id, slots), c
	o.held = &heldPackets{append([]string{c.reply}, c.copies...), slots}
	o.data = beginEnvelope(o.data, o.id, len(records))
	for _, i := range records {
		o.data = append(o.data, e.records[i].raw...)
	}
	c.reply, c.copies, c.received = "", nil, time.Now()
	j.byID[o.id] = c
	j.metrics.separated.Inc()
	j.publishMovedLocked(o)
}

// offer is an envelope whose packets another distributor holds.
type offer struct {
	ID       string `json:"id"`
	Stream   string `json:"stream"`
	Sequence uint64 `json:"sequence"`
	Reply    string `json:"reply"`
}

var offerTaken = []byte("+")

// offer offers an envelope to the distributor that holds its packets, and reports whether that
// distributor took it.
func (j *Journal) offer(holder string, o offer) bool {
	data, err := json.Marshal(o)
	if err != nil {
		return false
	}
	reply, err := j.link.Conn.Request(j.offersSubject(holder), data, offerTimeout)
	return err == nil && string(reply.Data) == string(offerTaken)
}

// onOffer takes an envelope that another distributor has received, if its packets are here.
func (j *Journal) onOffer(m *nats.Msg) {
	var o offer
	if json.Unmarshal(m.Data, &o) != nil {
		return
	}
	j.mu.Lock()
	taken := false
	for _, p := range j.partitions {
		if p.stream == o.Stream && !j.closed {
			taken = j.recognizeLocked(p, o.ID, o.Sequence, o.Reply)
		}
	}
	j.mu.Unlock()
	reply := []byte("-")
	if taken {
		reply = offerTaken
		j.keeping.Wake()
	}
	_ = m.Respond(reply) // without the reply the other distributor keeps the envelope
}
