package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logstreamer/logstreamer/internal/journal"
)

// pubAck is the acknowledgement of a publication, or its refusal, by a stream.
type pubAck struct {
	Sequence  uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// parsePubAck decodes an acknowledgement; it decodes the usual one for a stored message without
// reflection.
func parsePubAck(data []byte) (ack pubAck, ok bool) {
	const begin = `{"stream":"`
	if rest, found := bytes.CutPrefix(data, []byte(begin)); found {
		_, rest, _ = bytes.Cut(rest, []byte(`"`))
		if digits, found := bytes.CutPrefix(rest, []byte(`,"seq":`)); found && bytes.HasSuffix(digits, []byte("}")) {
			if sequence, err := strconv.ParseUint(string(digits[:len(digits)-1]), 10, 64); err == nil {
				return pubAck{Sequence: sequence}, true
			}
		}
	}
	err := json.Unmarshal(data, &ack)
	return ack, err == nil
}

// Error codes of NATS.
const (
	// codeStoreFailed: the message was not stored, of a full stream because of its size.
	codeStoreFailed = 10077
	// codeInProcess: an earlier message of the envelope is being stored.
	codeInProcess = 10158
	// codeTooLarge: the message is larger than the stream allows.
	codeTooLarge = 10054
)

// onPubAck handles the acknowledgement of a publication.
func (j *Journal) onPubAck(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, j.pubAckSubject), 10, 64)
	if err != nil {
		return
	}
	ack, ok := parsePubAck(m.Data)
	if m.Header.Get("Status") != "" || !ok {
		return // the stream has no leader now, so that the envelope is sent again
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
	case ack.Error == nil && ack.Sequence > 0:
		j.metrics.published(o, now)
		j.acknowledgedLocked(o.partition, now)
		done = j.resolveLocked(o, nil)
	case ack.Error != nil && ack.Error.Code != codeInProcess:
		done = j.refusedLocked(o, ack.Error.Code, ack.Error.Description, now)
	}
	done = append(done, j.updateWritableLocked()...)
	j.mu.Unlock()
	j.sending.Wake()
	j.complete(done)
}

// refusedLocked handles the refusal of a publication by its stream.
func (j *Journal) refusedLocked(o *publication, code int, description string, now time.Time) []*request {
	p := o.partition
	switch {
	case code == codeTooLarge:
		p.answered = now
		return j.resolveLocked(o, o.tooLarge("the stream %s refuses it: %s (max_msg_size)", p.stream, description))
	case code == codeStoreFailed && strings.Contains(description, "maximum"):
		p.answered, p.full = now, true
		return j.redirectLocked(o, journal.ErrFull)
	default:
		p.refuse(now, fmt.Errorf("the stream %s can store nothing: %s (%d)", p.stream, description, code))
		return j.redirectLocked(o, fmt.Errorf("%w: %w", journal.ErrUnwritable, p.cause))
	}
}

// redirectLocked moves a publication that a stream has refused to another stream, or ends it with the
// error if no stream takes it. With another number, later answers of the stream that has refused do
// not count.
func (j *Journal) redirectLocked(o *publication, err error) []*request {
	for _, p := range j.partitions {
		if p.usable() {
			o.partition.inFlight--
			p.expect(time.Now())
			o.partition, o.sent = p, time.Time{}
			delete(j.published, o.number)
			j.lastNumber++
			o.number = j.lastNumber
			j.published[o.number] = o
			return nil
		}
	}
	return j.resolveLocked(o, err)
}
