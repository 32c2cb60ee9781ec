package emitter

import (
	"strconv"
	"time"
)

// outgoing is a packet on its way from the source to the target. It has one
// owner at a time: source, queue, worker.
type outgoing struct {
	// body is the packet's JSON text, id its packet_id.
	body     []byte
	id       []byte
	messages int
	// due is when the packet had to be sent by the schedule. It is zero when
	// there is no schedule: then it is due when a worker takes it.
	due time.Time
	// waited is how long the source had nothing to make this packet of.
	waited time.Duration
	// lines is what was read from the file since the packet before this one.
	lines lineCounts
}

// lineCounts says what became of lines that were read.
type lineCounts struct {
	read, empty, truncated, repaired int64
	// packed lines are those that this packet carries.
	packed int64
}

// maxKeptBody is the largest buffer that is kept for the next packet.
const maxKeptBody = 1 << 20

func (p *outgoing) reset() {
	if cap(p.body) > maxKeptBody {
		p.body = nil
	}
	*p = outgoing{body: p.body[:0], id: p.id[:0]}
}

// envelope writes what surrounds the messages of a packet.
type envelope struct {
	head     []byte
	runID    string
	sequence int64
}

func newEnvelope(emitterID, runID string) *envelope {
	head := appendString([]byte(`{"emitter_id":`), emitterID)
	return &envelope{head: append(head, `,"packet_id":"`...), runID: runID}
}

// open starts a packet with the next packet id of the run.
func (e *envelope) open(p *outgoing) {
	e.sequence++
	p.body = append(p.body, e.head...)
	start := len(p.body)
	p.body = append(p.body, e.runID...)
	p.body = append(p.body, '-')
	p.body = strconv.AppendInt(p.body, e.sequence, 10)
	p.id = append(p.id, p.body[start:]...)
	p.body = append(p.body, `","messages":[`...)
}

// next starts a message.
func (e *envelope) next(p *outgoing) {
	if p.messages > 0 {
		p.body = append(p.body, ',')
	}
	p.messages++
}

func (e *envelope) close(p *outgoing) {
	p.body = append(p.body, ']', '}')
}
