package jetstream

import (
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

const (
	// ackWait is for how long a claim lasts that is not extended, unless the consumer was changed.
	// A third of it is the time between extensions.
	ackWait = 30 * time.Second
	// idleAfter is for how long envelopes are kept from which nothing is fetched; then other
	// distributors get them.
	idleAfter = 10 * time.Second
	// stickAfter is the age from which packets that stick get an envelope of their own.
	stickAfter = 2 * time.Minute
)

// slotState is where a packet of an envelope is.
type slotState uint8

const (
	slotQueued slotState = iota
	slotClaimed
	slotEnded
)

// claim is a received envelope of which this process has packets.
type claim struct {
	number    uint64
	id        string
	partition *partition
	sequence  uint64 // of the stream
	// reply is where the envelope is acknowledged; empty while this is not known (see
	// separation). copies are those of the same envelope, stored more than once.
	reply    string
	copies   []string
	slots    []slotState
	queued   int // slots in slotQueued
	claimed  int // slots in slotClaimed
	received time.Time
	extended time.Time       // when it was received or extended
	moving   bool            // what is left is being published
	stored   []int           // see slotsStored
	results  []awaitedResult // of packets whose emitters wait for the delivery
}

// sequenceOf returns the sequence of a packet: that of an envelope and its slot.
func sequenceOf(claim uint64, slot int) uint64 { return claim*maxSlots + uint64(slot) }
func numberOf(sequence uint64) uint64          { return sequence / maxSlots }
func slotOf(sequence uint64) int               { return int(sequence % maxSlots) }

// isEmpty reports whether every packet has ended.
func (c *claim) isEmpty() bool { return c.queued+c.claimed == 0 && !c.moving }

// isUntouched reports whether no packet was fetched.
func (c *claim) isUntouched() bool { return c.queued == len(c.slots) }

// ack is a message to be sent by the keeper.
type ack struct {
	subject string
	data    []byte
}

var (
	ackDone   = []byte("+ACK")
	ackExtend = []byte("+WPI")
	ackReturn = []byte("-NAK")
)

// delayedReturn returns the message that returns an envelope, to be delivered again after a
// time.
func delayedReturn(d time.Duration) []byte {
	return append(strconv.AppendInt([]byte(`-NAK {"delay": `), d.Nanoseconds(), 10), '}')
}

// sentAck is an acknowledgement that a server may have lost, if it has ended since.
type sentAck struct {
	subject string
	at      time.Time
}

const (
	maxSentAcks = 1 << 14
	// keepSentAcks is longer than the election of a leader, and what was sent before it.
	keepSentAcks = 20 * time.Second
)

// rememberAcksLocked remembers acknowledgements that were sent.
func (j *Journal) rememberAcksLocked(sent []ack, now time.Time) {
	for _, a := range sent {
		if &a.data[0] == &ackDone[0] {
			j.sentAcks.Push(sentAck{a.subject, now})
		}
	}
	for j.sentAcks.Len() > maxSentAcks || j.sentAcks.Len() > 0 && now.Sub(j.sentAcks.First().at) > keepSentAcks {
		j.sentAcks.Pop()
	}
}

// repeatAcks sends the last acknowledgements again, after a consumer may have lost some: others
// would get their envelopes, too. Those that were not lost have no effect.
func (j *Journal) repeatAcks() {
	j.mu.Lock()
	for i := range j.sentAcks.Len() {
		j.acks = append(j.acks, ack{j.sentAcks.At(i).subject, ackDone})
	}
	j.sentAcks = ring.Queue[sentAck]{}
	j.mu.Unlock()
	j.keeping.wake()
}

// endedClaim is remembered, since its acknowledgement may be lost: then the envelope is
// delivered again, and only acknowledged again.
type endedClaim struct {
	id string
	at time.Time
}

const (
	maxEnded  = 1 << 16
	keepEnded = 4 * ackWait
)

// endLocked acknowledges an envelope of which every packet has ended. It reports whether
// there is something to send.
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
			j.acks = append(j.acks, ack{reply, data})
			wake = true
		}
	}
	return wake
}

// returnLocked gives back an envelope of which no packet is fetched. If some have ended, the
// others are published as an envelope of their own.
func (j *Journal) returnLocked(c *claim, reply []byte) {
	j.restoreAwaitedLocked(c)
	packets := j.unqueueLocked(c)
	volume := packet.VolumeOf(packets)
	j.stats.Queued = j.stats.Queued.Minus(volume)
	j.stats.Returned = j.stats.Returned.Plus(volume)
	j.metrics.returned.Add(float64(len(packets)))
	if len(packets) == len(c.slots) || !j.republishLocked(c, packets) {
		j.forgetLocked(c)
		if reply != nil {
			j.replyLocked(c, reply)
		}
	}
	for _, p := range packets {
		p.Release()
	}
}

func (j *Journal) forgetLocked(c *claim) {
	delete(j.claims, c.number)
	delete(j.byID, c.id)
}

// unqueueLocked removes an envelope's packets from the queue.
func (j *Journal) unqueueLocked(c *claim) (packets []*packet.Packet) {
	var others ring.Queue[*packet.Packet]
	for j.queue.Len() > 0 {
		p := j.queue.Pop()
		if numberOf(p.Sequence) != c.number {
			others.Push(p)
			continue
		}
		packets = append(packets, p)
		j.queuedBytes -= p.Footprint()
	}
	j.queue = others
	c.queued = 0
	return packets
}

// tendClaimsLocked extends the claims of packets that are on their way, and gives back what
// nobody fetches, or what has expired and is untouched: another distributor may have it.
func (j *Journal) tendClaimsLocked(now time.Time) {
	idle := now.Sub(j.lastFetch) > idleAfter
	for _, c := range j.claims {
		switch {
		case c.moving:
			j.extendLocked(c, now)
		case c.isUntouched() && now.Sub(c.extended) > c.partition.ackWait:
			j.metrics.expired.Inc()
			j.returnLocked(c, nil)
		case c.claimed == 0 && (j.releasing || idle && now.Sub(c.received) > idleAfter):
			j.wanted = false
			j.returnLocked(c, ackReturn)
		default:
			j.extendLocked(c, now)
		}
	}
}

func (j *Journal) extendLocked(c *claim, now time.Time) {
	if now.Sub(c.extended) >= c.partition.ackWait/3 && j.link.IsConnected() {
		c.extended = now
		j.replyLocked(c, ackExtend)
	}
}
