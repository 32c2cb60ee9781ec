package jetstream

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	// envelopeBytes is the size from which an envelope takes no further packet.
	envelopeBytes = 256 << 10
	// smallBytes is the least that a second envelope on the way to a stream has, so that
	// envelopes grow with load: there is one sync for each. A stream without one gets less
	// only gatherTime after the last one to any stream.
	smallBytes = 32 << 10
	gatherTime = 5 * time.Millisecond
	// Envelopes are published again until the PubAck, after growing waits.
	resendAfter    = time.Second
	maxResendAfter = 4 * time.Second
	// publishTimeout bounds the wait for a PubAck.
	publishTimeout = 10 * time.Second
	// envelopeOverhead is what a message has besides records: headers and the id.
	envelopeOverhead = 1 << 10
)

// request is a pending AppendAsync.
type request struct {
	packets []*packet.Packet
	bytes   int  // of the records
	whole   bool // it has one envelope, unless NATS takes no message as large
	next    int  // the first packet that is in no envelope
	parts   int  // envelopes without a PubAck
	err     error
	ended   bool
	waiter  journal.Waiter
}

// part is packets of a request in one envelope.
type part struct {
	request  *request
	from, to int
	tokens   []uint64 // of the request's packets, nil if no delivery is awaited
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
	moved     *claim       // whose remaining packets it has, nil for new ones
	held      *heldPackets // of moved, if they stay here
	partition *partition
	begun     time.Time
	sent      time.Time
	sends     int
	sending   bool // the sender reads data, without the lock
}

// sender is the only goroutine that makes envelopes of pending packets, and that publishes.
type sender struct {
	journal *Journal
	timer   *time.Timer
}

func (s *sender) run() {
	loop := s.journal.sending
	s.timer = time.NewTimer(time.Hour)
	defer s.timer.Stop()
	for {
		for s.publishNext() {
		}
		s.timer.Reset(s.resend(time.Now()))
		select {
		case <-loop.wakeUp:
		case <-s.timer.C:
		case <-loop.stop:
			return
		}
	}
}

// publishNext publishes what is pending, up to an envelope, and reports whether it did.
func (s *sender) publishNext() bool {
	j := s.journal
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

// choosePartitionLocked returns the stream with the fewest envelopes on their way, nil if
// none may get another now.
func (j *Journal) choosePartitionLocked(now time.Time) *partition {
	if len(j.pending) == 0 || j.unwritable != nil || !j.link.IsConnected() {
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
		to.inFlight++
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
	count := 0
	for _, one := range o.parts {
		count += one.to - one.from
	}
	o.data = beginEnvelope(o.data, o.id, count)
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

// send publishes an envelope. If that fails, it is sent again later.
func (s *sender) send(o *publication) {
	j := s.journal
	j.mu.Lock()
	subject, held := o.partition.subject, j.published[o.number] == o
	o.sent = time.Now()
	o.sends++
	o.sending = held
	j.mu.Unlock()
	if !held {
		return
	}
	message := nats.NewMsg(subject)
	message.Reply, message.Data = j.pubAckSubject+strconv.FormatUint(o.number, 10), o.data
	message.Header.Set(nats.MsgIdHdr, o.id)
	if o.held != nil {
		message.Header.Set(holderHeader, j.name)
	}
	_ = j.link.Conn.PublishMsg(message) // without a connection: it is sent again
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sentLocked(o)
}

// sentLocked notes that nobody reads the data of a publication any more: it may have ended
// meanwhile, with the answer to an earlier message of it.
func (j *Journal) sentLocked(o *publication) {
	o.sending = false
	if j.published[o.number] != o {
		j.buffers = append(j.buffers, o.data)
	}
}

// resend publishes again what has no PubAck, gives up what has none for too long, and takes
// out streams that give none. It returns when to come again.
func (s *sender) resend(now time.Time) time.Duration {
	j := s.journal
	next := now.Add(time.Hour)
	var due []*publication
	var done []*request
	j.mu.Lock()
	connected := j.link.IsConnected()
	for _, o := range j.published {
		p := o.partition
		again, silent, end := o.sent.Add(min(resendAfter<<min(max(o.sends-1, 0), 8), maxResendAfter)), later(p.answered, o.begun).Add(silentAfter), o.begun.Add(j.publishTimeout)
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
		if !silent.After(now) {
			p.silent, silent = true, end
		}
		next = earlier(earlier(next, end), earlier(again, silent))
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

// pubAck is the answer of a stream to a publication.
type pubAck struct {
	Sequence  uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// parsePubAck decodes an answer; what servers answer for a stored message without reflection.
func parsePubAck(data []byte) (answer pubAck, ok bool) {
	const begin = `{"stream":"`
	if rest, found := bytes.CutPrefix(data, []byte(begin)); found {
		_, rest, _ = bytes.Cut(rest, []byte(`"`))
		if digits, found := bytes.CutPrefix(rest, []byte(`,"seq":`)); found && bytes.HasSuffix(digits, []byte("}")) {
			if sequence, err := strconv.ParseUint(string(digits[:len(digits)-1]), 10, 64); err == nil {
				return pubAck{Sequence: sequence}, true
			}
		}
	}
	err := json.Unmarshal(data, &answer)
	return answer, err == nil
}

// Error codes of NATS.
const (
	// codeStoreFailed: the message was not stored, of a full stream because of its size.
	codeStoreFailed = 10077
	// codeTooLarge: the message is larger than the stream allows.
	codeTooLarge = 10054
)

// onPubAck handles the answer to a publication.
func (j *Journal) onPubAck(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, j.pubAckSubject), 10, 64)
	if err != nil {
		return
	}
	answer, ok := parsePubAck(m.Data)
	if m.Header.Get("Status") != "" || !ok {
		return // nobody answers for the stream now: it is sent again
	}
	now := time.Now()
	j.mu.Lock()
	o := j.published[number]
	if o == nil {
		j.mu.Unlock()
		return
	}
	var done []*request
	switch {
	case answer.Error == nil && answer.Sequence > 0:
		j.metrics.published(o, now)
		o.partition.answered, o.partition.silent, o.partition.fault = now, false, nil
		done = j.resolveLocked(o, nil)
	case answer.Error != nil && answer.Error.Code == codeStoreFailed && strings.Contains(answer.Error.Description, "maximum"):
		o.partition.answered, o.partition.full = now, true
		done = j.divertLocked(o)
	case answer.Error != nil && answer.Error.Code == codeTooLarge:
		done = j.resolveLocked(o, fmt.Errorf("%w: %s", journal.ErrTooLarge, answer.Error.Description))
	case answer.Error != nil:
		o.partition.fault = fmt.Errorf("the stream %s refuses: %s (%d)", o.partition.stream, answer.Error.Description, answer.Error.Code)
	}
	done = append(done, j.updateWritableLocked()...)
	j.mu.Unlock()
	j.sending.wake()
	j.complete(done)
}

// divertLocked moves a publication that a full stream has refused to another one, or refuses
// it if all are full.
func (j *Journal) divertLocked(o *publication) []*request {
	for _, p := range j.partitions {
		if p.usable() {
			o.partition.inFlight--
			p.inFlight++
			o.partition, o.sent = p, time.Time{}
			return nil
		}
	}
	return j.resolveLocked(o, journal.ErrFull)
}

// resolveLocked ends a publication and returns the requests that have ended with it.
func (j *Journal) resolveLocked(o *publication, err error) (done []*request) {
	delete(j.published, o.number)
	if !o.sending {
		j.buffers = append(j.buffers, o.data)
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
				j.awaited.take(token) // 0 is of none
			}
		}
		if r.parts == 0 && (r.err != nil || r.next == len(r.packets)) {
			done = append(done, j.endRequestLocked(r))
		}
	}
	return done
}

// endRequestLocked frees what a request holds.
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

// refusePendingLocked refuses what is in no envelope.
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

// refuseAllLocked refuses what has no PubAck.
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

// maxRecordLocked is the maximum size of a record.
func (j *Journal) maxRecordLocked() int { return int(j.link.MaxPayload()) - envelopeOverhead }

var errNotReady = errors.New("the streams are not known to be there yet")
