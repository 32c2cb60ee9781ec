package jetstream

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// maxPullBytes bounds the bytes of one pull: more bytes could exceed the server's limit for a
	// slow connection, which the server then closes.
	maxPullBytes = 16 << 20
	// maxPullMessages bounds the envelopes of one pull, so that distributors share small envelopes.
	// See receiver.batchLocked.
	maxPullMessages = 128
	// usualPullBytes is the minimum of a pull, for an envelope of usual size; maxMessageBytes is the
	// size of the largest message that NATS servers can be configured for.
	usualPullBytes  = envelopeBytes + envelopeOverhead + messageOverhead
	maxMessageBytes = 64<<20 + messageOverhead
	pullExpires     = 10 * time.Second
	// exhaustedFor is the time after a pull had no memory for which pulls are short.
	exhaustedFor = time.Minute
	// behindAfter is the age of the first queued envelope from which nothing is pulled: other
	// distributors may be faster.
	behindAfter = time.Second
	// A pull without a sign of life for twice heartbeat is over.
	heartbeat = time.Second
	// pullDelay is the wait after a pull that was refused.
	pullDelay = 250 * time.Millisecond
	// messageOverhead is the counted size of a message without its data: subjects and headers.
	messageOverhead = 2 << 10
)

// receiver pulls envelopes from one stream, one pull at a time.
type receiver struct {
	journal   *Journal
	partition *partition
	messages  chan *nats.Msg
	inbox     string
	pulls     uint64
	pull      pull
	batch     int  // see batchLocked
	needed    int  // minimum of bytes of the next pull: see grow
	broken    bool // the latest pull was not answered, or the server ended it
	timer     *time.Timer

	// Marks are messages that the receiver sends to itself and that arrive in order with those of
	// the stream. An envelope after a mark was delivered after the mark was sent, even if this
	// process, or its connection, was suspended meanwhile.
	started     time.Time
	markSubject string
	marked      time.Time // when the latest mark was sent
	fresh       time.Time // when the latest mark that came back was sent, zero before
}

func newReceiver(j *Journal, p *partition) *receiver {
	inbox := nats.NewInbox()
	return &receiver{journal: j, partition: p, inbox: inbox, batch: maxPullMessages, needed: usualPullBytes, messages: make(chan *nats.Msg, 8*maxPullMessages), started: time.Now(), markSubject: inbox + ".mark"}
}

func (r *receiver) run(context.Context) {
	j := r.journal
	subscription, err := j.link.Conn.ChanSubscribe(r.inbox+".*", r.messages)
	if err != nil { // the connection is closed
		return
	}
	defer r.end()
	r.timer = time.NewTimer(time.Hour)
	defer r.timer.Stop()
	for delay := time.Duration(0); !r.releasing(); {
		if !r.pull.active && delay == 0 {
			r.begin()
		}
		r.mark()
		r.timer.Reset(r.wait(delay))
		select {
		case m := <-r.messages:
			delay = max(delay, r.handle(m))
		case <-r.timer.C:
			delay = 0
			r.expire(time.Now())
		case <-r.partition.receiving.Woken():
			r.expire(time.Now())
		}
	}
	r.leave(subscription)
}

// releasing reports whether no envelope may be received any more. Release wakes the receiver then.
func (r *receiver) releasing() bool {
	j := r.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.releasing
}

// leave ends the subscription, and returns the envelopes that were on the way: otherwise other
// distributors would get them only when their claims expire.
func (r *receiver) leave(subscription *nats.Subscription) {
	if subscription.Drain() != nil || r.journal.link.Conn.FlushTimeout(closeTimeout) != nil {
		return // without a connection they cannot be returned
	}
	for {
		select {
		case m := <-r.messages:
			r.handle(m)
		default:
			return
		}
	}
}

// wait returns until when a message is awaited.
func (r *receiver) wait(delay time.Duration) time.Duration {
	switch {
	case delay > 0:
		return delay
	case r.pull.active:
		return heartbeat
	default:
		return time.Minute
	}
}

// mark sends a mark, while there is a pull and at most as often as heartbeats come.
func (r *receiver) mark() {
	now := time.Now()
	if now.Sub(r.marked) < heartbeat {
		return
	}
	text := strconv.AppendInt(nil, int64(now.Sub(r.started)), 10)
	if r.journal.link.Conn.Publish(r.markSubject, text) == nil {
		r.marked = now
	}
}

// ackPrefix is the prefix of the subjects of acknowledgements of a stream's messages.
const ackPrefix = "$JS.ACK."

// handle handles a message, and returns the time to pause.
func (r *receiver) handle(m *nats.Msg) time.Duration {
	if m.Subject == r.markSubject {
		if age, err := strconv.ParseInt(string(m.Data), 10, 64); err == nil {
			r.fresh = r.started.Add(time.Duration(age))
		}
		return 0
	}
	// Messages have the subject of the stream, statuses that of the pull. Messages of an earlier pull
	// count, too.
	delivered := strings.HasPrefix(m.Reply, ackPrefix)
	current := r.pull.active && (delivered || m.Subject == r.pull.inbox)
	if current {
		r.pull.alive = time.Now()
	}
	if status := m.Header.Get("Status"); !delivered && current && status != "" && status != statusHeartbeat {
		return r.ended(status, m.Header.Get("Description"))
	}
	r.recovered(current)
	if !delivered {
		return 0
	}
	if current {
		r.needed = usualPullBytes
		r.count(m.Size())
	}
	r.journal.receive(r.partition, m, r.fresh)
	return 0
}

// receive claims an envelope, which was delivered after a time, if that is known.
func (j *Journal) receive(p *partition, m *nats.Msg, after time.Time) {
	meta, err := m.Metadata()
	if err != nil {
		j.logger.Error("NATS delivers a message that cannot be acknowledged", "stream", p.stream, "error", err)
		return
	}
	e, err := parseEnvelope(m.Data)
	if err != nil {
		j.receiveUnreadable(p, m, meta, err)
		return
	}
	if holder := m.Header.Get(holderHeader); holder != "" && holder != j.name && j.offer(holder, offer{e.id, p.stream, meta.Sequence.Stream, m.Reply}) {
		return
	}
	packets, damaged := j.packetsOf(&e)
	if meta.NumDelivered > 1 {
		j.metrics.redeliveries.Inc()
		j.logger.Debug("an envelope comes again", "stream", p.stream, "sequence", meta.Sequence.Stream, "envelope", e.id, "deliveries", meta.NumDelivered, "packets", packetNames(m.Data))
	}
	j.mu.Lock()
	done := j.recognizeLocked(p, e.id, meta.Sequence.Stream, m.Reply) || j.isLateLocked(p, after)
	if !done {
		j.claimLocked(p, &e, packets, meta.Sequence.Stream, m.Reply, after)
	}
	j.mu.Unlock()
	if done {
		releaseAll(packets)
	} else if damaged > 0 {
		j.damaged(p, meta.Sequence.Stream, m.Data, damaged)
	}
	j.keeping.Wake()
}

// isLateLocked reports whether the claim on an envelope that was delivered after a time may have
// expired before the envelope arrived, for example while this process was suspended: then another
// distributor gets it.
func (j *Journal) isLateLocked(p *partition, after time.Time) bool {
	late := !after.IsZero() && time.Since(after) > p.ackWait*3/4
	if late {
		j.metrics.expired.Inc()
	}
	return late
}

// releaseAll releases packets; those that could not be read are nil.
func releaseAll(packets []*packet.Packet) {
	for _, one := range packets {
		if one != nil {
			one.Release()
		}
	}
}

// packetsOf copies the packets of an envelope; damaged ones are nil.
func (j *Journal) packetsOf(e *envelope) (packets []*packet.Packet, damaged int) {
	packets = make([]*packet.Packet, len(e.records))
	for i := range e.records {
		if r := &e.records[i]; r.damaged || !r.isPacket() {
			damaged++
			continue
		}
		packets[i] = e.records[i].packetOf(j.pool)
	}
	return packets, damaged
}

// recognizeLocked reports whether an envelope is claimed here, or has ended here.
func (j *Journal) recognizeLocked(p *partition, id string, sequence uint64, reply string) bool {
	c, known := j.byID[id]
	switch {
	case !known:
		return false
	case c == nil: // the acknowledgement was lost
		j.acks = append(j.acks, ack{reply, ackDone, p})
	case c.reply == "" || c.partition == p && c.sequence == sequence: // the envelope was delivered again, or was moved
		c.partition, c.sequence, c.reply, c.extended = p, sequence, reply, time.Now()
	default:
		c.copies = append(c.copies, reply)
	}
	return true
}

// claimLocked queues the packets of an envelope, which was delivered after a time, if that is known.
func (j *Journal) claimLocked(p *partition, e *envelope, packets []*packet.Packet, sequence uint64, reply string, after time.Time) {
	if j.releasing {
		j.acks = append(j.acks, ack{reply, ackReturn, p})
		releaseAll(packets)
		return
	}
	j.lastClaim++
	now := time.Now()
	if after.IsZero() {
		after = now
	}
	c := &claim{
		number: j.lastClaim, id: e.id, partition: p, sequence: sequence, reply: reply,
		slots: make([]slotState, len(packets)), received: now, extended: after,
	}
	j.claims[c.number], j.byID[c.id] = c, c
	for i, one := range packets {
		if one == nil {
			c.slots[i] = slotEnded
			continue
		}
		one.Sequence = sequenceOf(c.number, i)
		j.awaitResultLocked(c, i, one, e.records[i].token)
		c.queued++
		j.queuedBytes += one.Footprint()
		j.stats.Received.Add(one)
		j.stats.Queued.Add(one)
		j.queue.Push(one)
	}
	if c.isEmpty() {
		j.endLocked(c)
	}
	if c.queued > 0 {
		j.ready.Notify()
	}
}

// awaitResultLocked sets the channel of a packet whose emitter waits for the delivery, at this
// distributor or at another one.
func (j *Journal) awaitResultLocked(c *claim, slot int, p *packet.Packet, token uint64) {
	if token == 0 {
		return
	}
	publisher := publisherOf(c.id)
	if publisher == j.name {
		p.DeliveryChan = j.awaited.take(token)
		c.results = append(c.results, awaitedResult{slot: slot, token: token, here: p.DeliveryChan})
		return
	}
	result := make(chan packet.DeliveryResult, 1)
	p.DeliveryChan = result
	c.results = append(c.results, awaitedResult{slot: slot, token: token, subject: j.notesSubject(publisher), result: result})
}

// receiveUnreadable handles a message that cannot be decoded. It leaves a message of another
// version to the distributors that can read it.
func (j *Journal) receiveUnreadable(p *partition, m *nats.Msg, meta *nats.MsgMetadata, cause error) {
	reply := ack{m.Reply, ackDone, p}
	if version := versionError(0); errors.As(cause, &version) {
		reply.data = delayedReturn(ackWait)
		if meta.NumDelivered == 1 {
			j.logger.Error("an envelope has a format of another version: it is left to other distributors", "stream", p.stream, "sequence", meta.Sequence.Stream, "error", cause)
		}
	} else {
		j.damaged(p, meta.Sequence.Stream, m.Data, 1)
	}
	j.mu.Lock()
	j.acks = append(j.acks, reply)
	j.mu.Unlock()
	j.keeping.Wake()
}

// damaged counts packets that cannot be read, and keeps their envelope.
func (j *Journal) damaged(p *partition, sequence uint64, data []byte, packets int) {
	path, err := j.quarantine.add(p.stream, sequence, data)
	logger := j.logger.With("stream", p.stream, "sequence", sequence, "packets", packets)
	if err != nil {
		logger.Error("accepted packets are lost to damage in a stream, and their envelope cannot be kept", "error", err)
	} else {
		logger.Error("accepted packets are lost to damage in a stream", "quarantined", path)
	}
	j.metrics.damaged.Add(float64(packets))
	volume := packet.Volume{Packets: int64(packets)}
	j.mu.Lock()
	j.stats.Received, j.stats.Acknowledged = j.stats.Received.Plus(volume), j.stats.Acknowledged.Plus(volume)
	j.stats.Damaged = j.stats.Damaged.Plus(volume)
	j.mu.Unlock()
}
