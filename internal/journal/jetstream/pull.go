package jetstream

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// pull is a request for messages that is not over.
type pull struct {
	active   bool
	inbox    string // the subject to which its messages are sent
	messages int    // messages that may still come
	bytes    int    // bytes that may still come
	until    time.Time
	alive    time.Time // time of the latest message
}

// begin begins a pull if Fetch wants packets and there is memory for them.
func (r *receiver) begin() {
	j := r.journal
	j.mu.Lock()
	bytes := j.pullBytesLocked(r.partition, r.needed)
	batch, expires := 0, j.pullExpiresLocked(r.partition)
	if bytes > 0 {
		batch = r.batchLocked(time.Now())
	}
	if batch > 0 {
		j.pulledBytes += int64(bytes)
	}
	j.mu.Unlock()
	if batch == 0 {
		return
	}
	r.mark()
	r.pulls++
	now := time.Now()
	r.pull = pull{
		active: true, inbox: r.inbox + "." + strconv.FormatUint(r.pulls, 10), messages: batch, bytes: bytes,
		until: now.Add(expires + 2*heartbeat), alive: now,
	}
	request, _ := json.Marshal(struct {
		Batch     int           `json:"batch"`
		MaxBytes  int           `json:"max_bytes"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{batch, bytes, expires, heartbeat})
	subject := fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", r.partition.stream, durable)
	if err := j.link.Conn.PublishRequest(subject, r.pull.inbox, request); err != nil {
		r.end()
	}
}

// batchLocked returns the number of envelopes of the next pull: twice as many as of the one before,
// 0 while this distributor is behind, and then 1. So a slow distributor does not exhaust
// maxAckPending, which bounds the claims of all distributors together.
func (r *receiver) batchLocked(now time.Time) int {
	if r.journal.isBehindLocked(now) {
		r.batch, r.journal.wanted = 0, false
	} else {
		r.batch = min(max(2*r.batch, 1), r.partition.pullMessages)
	}
	return r.batch
}

// isBehindLocked reports whether received packets wait for Fetch for too long.
func (j *Journal) isBehindLocked(now time.Time) bool {
	return j.queue.Len() > 0 && now.Sub(j.claims[numberOf(j.queue.First().Sequence)].received) > behindAfter
}

// prefetchLocked returns the number of bytes that are kept for Fetch.
func (j *Journal) prefetchLocked() int64 {
	return min(j.memoryLimit/(2*memoryShare), maxPullBytes)
}

// pullBytesLocked returns the number of bytes that a pull may bring, at least as many as needed, and
// 0 if none is wanted.
func (j *Journal) pullBytesLocked(p *partition, needed int) int {
	free := j.memoryLimit/memoryShare - j.queuedBytes - j.claimedBytes - j.pulledBytes
	if j.queuedBytes >= j.prefetchLocked() {
		j.wanted = false
	}
	switch {
	case !j.wanted || !p.ready || j.releasing || !j.link.IsConnected():
		return 0
	case free < int64(needed) && j.claimedBytes+j.queuedBytes+j.pulledBytes > 0:
		j.memoryExhausted, j.exhausted = true, time.Now()
		return 0
	}
	share := int(max(min(free/int64(len(j.partitions)), maxPullBytes), 0))
	return min(max(share, needed), p.pullBytes)
}

// pullExpiresLocked returns the duration of a pull. It is short while there is little memory, since a
// pull without messages holds memory that other streams may need.
func (j *Journal) pullExpiresLocked(p *partition) time.Duration {
	if time.Since(j.exhausted) < exhaustedFor {
		return minPullExpires
	}
	return p.pullExpires
}

// end ends the pull, whose memory other pulls may need.
func (r *receiver) end() {
	if !r.pull.active {
		return
	}
	r.pull.active = false
	j := r.journal
	j.mu.Lock()
	j.pulledBytes -= int64(r.pull.bytes)
	j.memoryFreedLocked()
	j.mu.Unlock()
}

// memoryFreedLocked wakes the receivers that wait for memory.
func (j *Journal) memoryFreedLocked() {
	if j.memoryExhausted {
		j.memoryExhausted = false
		j.wakeReceiversLocked()
	}
}

// isUnused reports whether the pull has brought nothing.
func (r *receiver) isUnused() bool { return r.pull.messages == r.batch }

// grow makes the next pull larger, after one that was too small for the next envelope, and returns
// the time to pause. The next pull has the bytes of the largest message that the server takes now;
// those after it have more, for messages that were stored when the server took larger ones.
func (r *receiver) grow() time.Duration {
	largest := int(r.journal.link.MaxPayload()) + messageOverhead
	if r.pull.bytes < largest {
		r.needed = largest
		return 0
	}
	r.needed = min(2*r.pull.bytes, maxMessageBytes)
	return pullDelay
}

// expire ends a pull that is over, or that the server has forgotten.
func (r *receiver) expire(now time.Time) {
	silent := now.Sub(r.pull.alive) > 2*heartbeat || !r.journal.link.IsConnected()
	if silent || now.After(r.pull.until) {
		r.broken = r.broken || silent && r.pull.active
		r.end()
	}
}

// Statuses of a pull; any other status ends it.
const (
	statusHeartbeat = "100"
	statusNone      = "404" // there are no messages
	statusExpired   = "408"
	// exceedsMaxBytes describes the status after which the next envelope is larger than the bytes
	// of the pull that are left.
	exceedsMaxBytes = "Message Size Exceeds MaxBytes"
	batchCompleted  = "Batch Completed"
)

// ended handles the status with which the server ended the pull, and returns the time to pause.
func (r *receiver) ended(status, description string) time.Duration {
	unused, pause := r.isUnused(), time.Duration(0)
	switch {
	case status == statusExpired || status == statusNone:
		if unused {
			pause = r.journal.yieldMemory()
		}
	case description == exceedsMaxBytes:
		if unused {
			pause = r.grow()
		}
	case description == batchCompleted:
	default:
		r.broken = true
		r.end()
		r.journal.markFailing(r.partition)
		return pullDelay
	}
	r.end()
	r.recovered(true)
	return pause
}

// yieldMemory returns the time to pause after a pull without messages: other streams that wait for
// memory get it first.
func (j *Journal) yieldMemory() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.memoryExhausted {
		return pullDelay
	}
	return 0
}

// recovered records that the consumer answers, possibly after it has refused pulls.
func (r *receiver) recovered(current bool) {
	if current && r.broken {
		r.broken = false
		r.journal.repeatAcks()
	}
}

// count counts a message of the pull.
func (r *receiver) count(bytes int) {
	bytes = min(bytes, r.pull.bytes)
	r.pull.messages--
	r.pull.bytes -= bytes
	j := r.journal
	j.mu.Lock()
	j.pulledBytes -= int64(bytes)
	j.mu.Unlock()
	if r.pull.messages == 0 || r.pull.bytes == 0 {
		r.end()
	}
}
