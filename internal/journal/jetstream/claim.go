package jetstream

import (
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

const (
	// ackWait is the duration of a claim that is not extended, unless the consumer was changed. The
	// time between extensions is a third of it.
	ackWait = 30 * time.Second
	// idleAfter is the time for which envelopes are kept without a Fetch, or without one that reaches
	// them; then they are returned for other distributors.
	idleAfter = 10 * time.Second
	// stuckAfter is the age from which slow packets get an envelope of their own.
	stuckAfter = 2 * time.Minute
)

// slotState is the state of a packet of an envelope.
type slotState uint8

const (
	slotQueued slotState = iota
	slotClaimed
	slotEnded
)

// claim is a received envelope with packets in this process.
type claim struct {
	number    uint64
	id        string
	partition *partition
	sequence  uint64 // of the stream
	// reply is the subject of the envelope's acknowledgement; empty while it is not known (see
	// separation). copies are the subjects of copies of the envelope, which was stored more than
	// once.
	reply    string
	copies   []string
	slots    []slotState
	queued   int // slots in slotQueued
	claimed  int // slots in slotClaimed
	received time.Time
	extended time.Time       // the earliest possible time of the delivery or of the latest extension
	moving   bool            // the remaining packets are being published
	orphaned bool            // the stream is gone; only the packets in this process are left
	stored   []int           // see slotsStored
	results  []awaitedResult // results of packets whose emitters wait for the delivery
}

// sequenceOf returns the sequence of a packet, which combines that of its envelope and its slot.
func sequenceOf(claim uint64, slot int) uint64 { return claim*maxSlots + uint64(slot) }
func numberOf(sequence uint64) uint64          { return sequence / maxSlots }
func slotOf(sequence uint64) int               { return int(sequence % maxSlots) }

// isEmpty reports whether every packet has ended.
func (c *claim) isEmpty() bool { return c.queued+c.claimed == 0 && !c.moving }

// isUntouched reports whether no packet was fetched.
func (c *claim) isUntouched() bool { return c.queued == len(c.slots) }

// ack is a message that the keeper has to send.
type ack struct {
	subject string
	data    []byte
	of      *partition // nil if the message is not for a consumer
}

var (
	ackDone   = []byte("+ACK")
	ackExtend = []byte("+WPI")
	ackReturn = []byte("-NAK")
)

// delayedReturn returns the message that returns an envelope, which is then delivered again after a
// time.
func delayedReturn(d time.Duration) []byte {
	return append(strconv.AppendInt([]byte(`-NAK {"delay": `), d.Nanoseconds(), 10), '}')
}

// sentAck is an acknowledgement that a server may have lost, if the server has stopped since.
type sentAck struct {
	subject string
	of      *partition
	at      time.Time
}

const (
	maxSentAcks = 1 << 14
	// keepSentAcks exceeds the time of the election of a leader, and the age of acknowledgements
	// that the election may lose.
	keepSentAcks = 20 * time.Second
)

// rememberAcksLocked records acknowledgements that were sent.
func (j *Journal) rememberAcksLocked(sent []ack, now time.Time) {
	for _, a := range sent {
		if &a.data[0] == &ackDone[0] {
			j.sentAcks.Push(sentAck{a.subject, a.of, now})
		}
	}
	for j.sentAcks.Len() > maxSentAcks || j.sentAcks.Len() > 0 && now.Sub(j.sentAcks.First().at) > keepSentAcks {
		j.sentAcks.Pop()
	}
}

// repeatAcks sends the recent acknowledgements again, after a consumer may have lost some:
// otherwise their envelopes would be delivered again. Repeated acknowledgements that were not lost
// have no effect.
func (j *Journal) repeatAcks() {
	j.mu.Lock()
	for i := range j.sentAcks.Len() {
		sent := j.sentAcks.At(i)
		j.acks = append(j.acks, ack{sent.subject, ackDone, sent.of})
	}
	j.sentAcks = ring.Queue[sentAck]{}
	j.mu.Unlock()
	j.keeping.Wake()
}

// endedClaim is recorded because its acknowledgement may be lost: then the envelope is delivered
// again, and is only acknowledged again.
type endedClaim struct {
	id string
	at time.Time
}

const (
	maxEnded  = 1 << 16
	keepEnded = 4 * ackWait
)

// endLocked acknowledges an envelope when all its packets have ended. It reports whether there is a
// message to send.
func (j *Journal) endLocked(c *claim) (wake bool) {
	delete(j.claims, c.number)
	j.rememberEndedLocked(c.id, time.Now())
	return j.replyLocked(c, ackDone)
}

func (j *Journal) rememberEndedLocked(id string, now time.Time) {
	j.byID[id] = nil
	j.ended.Push(endedClaim{id, now})
	for j.ended.Len() > maxEnded || now.Sub(j.ended.First().at) > keepEnded {
		if old := j.ended.Pop(); j.byID[old.id] == nil {
			delete(j.byID, old.id)
		}
	}
}

// replyLocked sends data for an envelope and its copies.
func (j *Journal) replyLocked(c *claim, data []byte) (wake bool) {
	for _, reply := range append([]string{c.reply}, c.copies...) {
		if reply != "" {
			j.acks = append(j.acks, ack{reply, data, c.partition})
			wake = true
		}
	}
	return wake
}

// returnLocked returns envelopes without fetched packets. If some packets of an envelope have
// ended, the others are published as a new envelope, as are all packets of an orphaned envelope.
func (j *Journal) returnLocked(claims []*claim, reply []byte) {
	queued := j.unqueueLocked(claims)
	for _, c := range claims {
		j.restoreAwaitedLocked(c)
		packets := queued[c.number]
		j.metrics.returned.Add(float64(len(packets)))
		if len(packets) == len(c.slots) && !c.orphaned || !j.republishLocked(c, packets) {
			j.forgetLocked(c)
			if reply != nil {
				j.replyLocked(c, reply)
			}
		}
		releaseAll(packets)
	}
}

func (j *Journal) forgetLocked(c *claim) {
	delete(j.claims, c.number)
	delete(j.byID, c.id)
}

// unqueueLocked removes envelopes' packets from the queue, and returns them by the number of their
// claim. It scans the queue once, as there may be many envelopes and packets.
func (j *Journal) unqueueLocked(claims []*claim) map[uint64][]*packet.Packet {
	if len(claims) == 0 {
		return nil
	}
	found := make(map[uint64][]*packet.Packet, len(claims))
	for _, c := range claims {
		found[c.number] = make([]*packet.Packet, 0, c.queued)
		c.queued = 0
	}
	var volume packet.Volume
	var others ring.Queue[*packet.Packet]
	for j.queue.Len() > 0 {
		p := j.queue.Pop()
		packets, leaves := found[numberOf(p.Sequence)]
		if !leaves {
			others.Push(p)
			continue
		}
		found[numberOf(p.Sequence)] = append(packets, p)
		j.queuedBytes -= p.Footprint()
		volume.Add(p)
	}
	j.queue = others
	j.stats.Queued = j.stats.Queued.Minus(volume)
	j.stats.Returned = j.stats.Returned.Plus(volume)
	return found
}

// maintainClaimsLocked extends the claims of fetched packets. It returns envelopes to their streams if
// no packet of them is fetched in time, or if their claims have expired, since another distributor
// may then have them.
func (j *Journal) maintainClaimsLocked(now time.Time) {
	j.maintained = now
	idle := now.Sub(j.lastFetch) > idleAfter
	var expired, unused []*claim
	for _, c := range j.claims {
		switch {
		case c.moving:
			j.extendLocked(c, now)
		case c.orphaned && !j.canRepublishLocked(c):
		case c.isUntouched() && now.Sub(c.extended) > c.partition.ackWait:
			j.metrics.expired.Inc()
			expired = append(expired, c)
		case c.claimed == 0 && (j.releasing || (idle || c.isUntouched()) && now.Sub(c.received) > idleAfter):
			j.wanted = false
			unused = append(unused, c)
		default:
			j.extendLocked(c, now)
		}
	}
	j.returnLocked(expired, nil)
	j.returnLocked(unused, ackReturn)
}

func (j *Journal) extendLocked(c *claim, now time.Time) {
	if now.Sub(c.extended) >= c.partition.ackWait/3 && j.link.IsConnected() {
		c.extended = now
		j.replyLocked(c, ackExtend)
	}
}
