package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// envelopeBytes is the size from which an envelope takes no further packet.
	envelopeBytes = 256 << 10
	// maxBufferBytes is the size up to which the buffer of an envelope is kept for another one.
	maxBufferBytes = 8 * envelopeBytes
	// smallBytes is the minimum size of a second envelope on the way to a stream, so that envelopes
	// grow with load: the server syncs once for each. A stream without an envelope on the way gets
	// a smaller one only gatherTime after the last envelope to any stream.
	smallBytes = 32 << 10
	gatherTime = 5 * time.Millisecond
	// Envelopes are published again until the PubAck, with growing waits.
	resendAfter    = time.Second
	maxResendAfter = 4 * time.Second
	// publishTimeout bounds the wait for a PubAck.
	publishTimeout = 10 * time.Second
	// envelopeOverhead is the size of a message without records: headers and the id.
	envelopeOverhead = 1 << 10
)

// request is a pending AppendAsync.
type request struct {
	packets []*packet.Packet
	bytes   int  // of the records
	whole   bool // the request has one envelope, unless it exceeds the maximum message
	next    int  // index of the first packet that is in no envelope
	parts   int  // number of envelopes without a PubAck
	err     error
	ended   bool
	waiter  journal.Waiter
}

// part has the packets of a request in one envelope.
type part struct {
	request  *request
	from, to int
	tokens   []uint64 // channels of the request's packets, nil if no delivery is awaited
}

// await registers the packet at an index whose delivery is awaited.
func (one *part) await(a *awaited, i int) {
	p := one.request.packets[i]
	if p.DeliveryChan == nil {
		return
	}
	if one.tokens == nil {
		one.tokens = make([]uint64, len(one.request.packets))
	}
	one.tokens[i] = a.add(p)
}

// publication is an envelope on its way to a stream.
type publication struct {
	number    uint64
	id        string
	data      []byte
	parts     []part
	moved     *claim       // the claim whose remaining packets it has, nil for new packets
	held      *heldPackets // packets of moved, if they stay here
	partition *partition
	begun     time.Time
	sent      time.Time
	sends     int
	sending   bool // the sender reads data without the lock
}

// sender is the only goroutine that makes envelopes of pending packets, and that publishes.
type sender struct {
	journal *Journal
	timer   *time.Timer
}

func (s *sender) run(ctx context.Context) {
	s.timer = time.NewTimer(time.Hour)
	defer s.timer.Stop()
	for {
		for s.publishNext() {
		}
		s.timer.Reset(s.resend(time.Now()))
		select {
		case <-s.journal.sending.Woken():
		case <-s.timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// publishNext publishes pending packets, up to an envelope, and reports whether it did.
func (s *sender) publishNext() bool {
	j := s.journal
	if !j.link.IsConnected() {
		return false
	}
	j.mu.Lock()
	now := time.Now()
	p := j.choosePartitionLocked(now)
	if p == nil {
		j.mu.Unlock()
		return false
	}
	o := j.collectLocked(p)
	j.lastBegun = now
	j.mu.Unlock()
	if len(o.parts) == 0 {
		return false
	}
	encode(o)
	j.mu.Lock()
	j.published[o.number] = o
	var done []*request
	if j.lost != nil || j.closed {
		done = j.resolveLocked(o, j.capacityLocked(0))
	}
	j.mu.Unlock()
	j.complete(done)
	s.send(o)
	return true
}

// choosePartitionLocked returns the stream with the fewest envelopes on their way, nil if no stream
// may get another one now.
func (j *Journal) choosePartitionLocked(now time.Time) *partition {
	if len(j.pending) == 0 {
		return nil
	}
	var best *partition
	busy := false
	for i := range j.partitions {
		p := j.partitions[(i+int(j.lastNumber))%len(j.partitions)]
		if p.usable() && (best == nil || p.inFlight < best.inFlight) {
			best = p
		}
		busy = busy || p.usable() && p.inFlight > 0
	}
	switch {
	case best == nil || best.inFlight >= window:
		return nil
	case busy && j.pendingBytes < smallBytes && (best.inFlight > 0 || now.Sub(j.lastBegun) < gatherTime):
		return nil
	}
	return best
}

// collectLocked moves pending packets into a publication.
func (j *Journal) collectLocked(to *partition) *publication {
	o := j.newPublicationLocked(to)
	limit, bytes, slots, done := min(envelopeBytes, j.maxRecordLocked()), 0, 0, 0
	for _, r := range j.pending {
		if r.ended {
			done++
			continue
		}
		if fits := r.bytes <= limit || r.whole; fits && bytes > 0 && (bytes+r.bytes > limit || slots+len(r.packets) > maxSlots) {
			break
		}
		if r.whole && bytes == 0 {
			limit = min(max(limit, r.bytes), j.maxRecordLocked())
		}
		one := part{request: r, from: r.next, to: r.next}
		for ; one.to < len(r.packets) && slots < maxSlots; one.to++ {
			p := r.packets[one.to]
			size := recordBytes(p)
			if bytes > 0 && bytes+size > limit {
				break
			}
			one.await(&j.awaited, one.to)
			bytes += size
			slots++
		}
		if one.to > one.from {
			r.next = one.to
			r.parts++
			o.parts = append(o.parts, one)
		}
		if r.next < len(r.packets) {
			break
		}
		done++
	}
	rest := copy(j.pending, j.pending[done:])
	clear(j.pending[rest:])
	j.pending = j.pending[:rest]
	j.pendingBytes -= bytes
	if slots > 0 {
		to.expect(o.begun)
	}
	return o
}

func (j *Journal) newPublicationLocked(to *partition) *publication {
	j.lastNumber++
	o := &publication{number: j.lastNumber, id: j.name + "-" + strconv.FormatUint(j.lastNumber, 10), partition: to, begun: time.Now()}
	if last := len(j.buffers) - 1; last >= 0 {
		o.data, j.buffers = j.buffers[last][:0], j.buffers[:last]
	}
	return o
}

// encode encodes the packets of a publication.
func encode(o *publication) {
	o.data = beginEnvelope(o.data, o.id, o.packets())
	for _, one := range o.parts {
		for i := one.from; i < one.to; i++ {
			var token uint64
			if one.tokens != nil {
				token = one.tokens[i]
			}
			o.data = appendRecord(o.data, one.request.packets[i], token)
		}
	}
}

// packets returns the number of new packets.
func (o *publication) packets() (count int) {
	for _, one := range o.parts {
		count += one.to - one.from
	}
	return count
}

// tooLarge is the error of an envelope that is larger than a limit, which was higher before. Several
// packets may fit one by one when they come again.
func (o *publication) tooLarge(limit string, args ...any) error {
	refusal := journal.ErrTooLarge
	if o.packets() > 1 {
		refusal = journal.ErrUnwritable
	}
	return fmt.Errorf("%w: its envelope has %d bytes: %s", refusal, len(o.data), fmt.Sprintf(limit, args...))
}

// send publishes an envelope. If that fails, it is sent again later.
func (s *sender) send(o *publication) {
	j := s.journal
	j.mu.Lock()
	subject, reply, held := o.partition.subject, j.pubAckSubject+strconv.FormatUint(o.number, 10), j.published[o.number] == o
	o.sent = time.Now()
	o.sends++
	o.sending = held
	again := o.sends > 1
	j.mu.Unlock()
	if !held {
		return
	}
	if again {
		j.logger.Debug("an envelope is published again", "subject", subject, "envelope", o.id, "packets", packetNames(o.data))
	}
	message := nats.NewMsg(subject)
	message.Reply, message.Data = reply, o.data
	message.Header.Set(nats.MsgIdHdr, o.id)
	if o.held != nil {
		message.Header.Set(holderHeader, j.name)
	}
	err := j.link.Conn.PublishMsg(message) // without a connection: it is sent again
	var done []*request
	j.mu.Lock()
	j.sentLocked(o)
	if errors.Is(err, nats.ErrMaxPayload) && j.published[o.number] == o { // the server takes less than before
		done = j.resolveLocked(o, o.tooLarge("NATS messages have at most %d (max_payload)", j.link.MaxPayload()))
	}
	j.mu.Unlock()
	j.complete(done)
}

// sentLocked records that the sender has finished reading the data of a publication, which may have
// ended meanwhile with the acknowledgement of an earlier message of it.
func (j *Journal) sentLocked(o *publication) {
	o.sending = false
	if j.published[o.number] != o {
		j.keepBufferLocked(o.data)
	}
}

// keepBufferLocked keeps the buffer of a publication that has ended. As many as windows take are
// reused; those of exceptionally large envelopes are not kept.
func (j *Journal) keepBufferLocked(data []byte) {
	if len(j.buffers) < window*len(j.partitions) && cap(data) <= maxBufferBytes {
		j.buffers = append(j.buffers, data)
	}
}

// resend publishes envelopes without a PubAck again, ends those without one for too long, and takes
// out streams that send none. It returns the time of the next call.
func (s *sender) resend(now time.Time) time.Duration {
	j := s.journal
	next := now.Add(time.Hour)
	var due []*publication
	var done []*request
	j.mu.Lock()
	connected := j.link.IsConnected()
	for _, p := range j.partitions {
		if silent, pending := p.checkSilence(now); pending {
			next = earlier(next, silent)
		}
	}
	for _, o := range j.published {
		p := o.partition
		again, end := o.sent.Add(min(resendAfter<<min(max(o.sends-1, 0), 8), maxResendAfter)), o.begun.Add(j.publishTimeout)
		switch {
		case !end.After(now):
			done = append(done, j.resolveLocked(o, fmt.Errorf("%w: the stream %s did not answer within %v", journal.ErrUnwritable, p.stream, j.publishTimeout))...)
			continue
		case connected && !again.After(now):
			due = append(due, o)
			again = now.Add(resendAfter)
		case !connected:
			again = end
		}
		next = earlier(earlier(next, end), again)
	}
	done = append(done, j.updateWritableLocked()...)
	if until, waits := j.stall.waits(now); waits {
		next = earlier(next, until)
	}
	if gathered := j.lastBegun.Add(gatherTime); len(j.pending) > 0 && gathered.After(now) {
		next = earlier(next, gathered)
	}
	j.mu.Unlock()
	j.complete(done)
	for _, o := range due {
		j.metrics.resends.Inc()
		s.send(o)
	}
	return max(next.Sub(now), time.Millisecond)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// resolveLocked ends a publication and returns the requests that have ended with it.
func (j *Journal) resolveLocked(o *publication, err error) (done []*request) {
	delete(j.published, o.number)
	if !o.sending {
		j.keepBufferLocked(o.data)
	}
	o.partition.inFlight--
	if o.moved != nil {
		j.movedLocked(o, err)
	}
	for _, one := range o.parts {
		r := one.request
		r.parts--
		if err != nil {
			r.err = cmp.Or(r.err, err)
			for _, token := range one.tokens {
				j.awaited.take(token) // 0 is no valid number
			}
		}
		if r.parts == 0 && (r.err != nil || r.next == len(r.packets)) {
			done = append(done, j.endRequestLocked(r))
		}
	}
	return done
}

// endRequestLocked releases the resources of a request.
func (j *Journal) endRequestLocked(r *request) *request {
	r.ended = true
	for i, p := range r.packets {
		if i >= r.next {
			j.pendingBytes -= recordBytes(p)
		}
		footprint := sendingFootprint(p)
		j.sendingBytes -= footprint
		j.quota.Add(p.Slot, -footprint)
		if r.err == nil {
			j.stats.Accepted.Add(p)
		}
	}
	return r
}

// sendingFootprint is the memory of a packet until its PubAck: its own and its record's.
func sendingFootprint(p *packet.Packet) int64 { return p.Footprint() + int64(recordBytes(p)) }

// refusePendingLocked refuses packets that are in no envelope.
func (j *Journal) refusePendingLocked(err error) (done []*request) {
	for _, r := range j.pending {
		if r.ended {
			continue
		}
		r.err = cmp.Or(r.err, err)
		if r.parts == 0 {
			done = append(done, j.endRequestLocked(r))
		}
	}
	clear(j.pending)
	j.pending = j.pending[:0]
	return done
}

// refuseAllLocked refuses packets without a PubAck.
func (j *Journal) refuseAllLocked(err error) (done []*request) {
	done = j.refusePendingLocked(err)
	for _, o := range j.published {
		done = append(done, j.resolveLocked(o, err)...)
	}
	return done
}

// complete releases stored packets and notifies the waiters.
func (j *Journal) complete(done []*request) {
	for _, r := range done {
		if r.err == nil {
			for _, p := range r.packets {
				p.Release()
			}
		}
		r.waiter.OnCommit(r.err)
	}
}

// maxMessageLocked returns the size of the largest message that NATS and all streams that get packets
// take, and the stream that bounds it, or nil for NATS.
func (j *Journal) maxMessageLocked() (bytes int64, stream *partition) {
	bytes = j.link.MaxPayload()
	for _, p := range j.partitions {
		if p.publishes && p.unsafe == nil && p.messageBytes > 0 && p.messageBytes < bytes {
			bytes, stream = p.messageBytes, p
		}
	}
	return bytes, stream
}

// maxRecordLocked is the maximum size of a record.
func (j *Journal) maxRecordLocked() int {
	bytes, _ := j.maxMessageLocked()
	return int(bytes) - envelopeOverhead
}

// MaxPacketBytes implements journal.Shared.
func (j *Journal) MaxPacketBytes() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.maxRecordLocked() - recordHeaderBytes - packet.MaxTraceparentBytes
}

var errNotReady = errors.New("the streams are not known to be there yet")
