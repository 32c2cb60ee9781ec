package emitter

import (
	"strconv"
	"time"
)

// outgoing is a packet between source and target. It has one owner at a time:
// source, queue, worker.
type outgoing struct {
	// body is the packet's JSON text, id its packet_id.
	body     []byte
	id       []byte
	messages int
	// emitterID is set for a packet that was read as one line.
	emitterID string
	// due is the packet's time in the schedule. It is zero without a schedule:
	// the packet is then due when a worker takes it.
	due time.Time
	// waited is how long the source had no data for this packet.
	waited time.Duration
	// span is where the packet lies in a followed file, nil for others.
	span *span
	// lines counts the lines read since the previous packet.
	lines lineCounts
}

// lineCounts counts lines by result.
type lineCounts struct {
	read, empty, truncated, repaired int64
	// carried is the number of lines that this packet carries.
	carried int64
}

// maxPooledBytes is the capacity of the largest buffer kept for reuse.
const maxPooledBytes = 1 << 20

func (p *outgoing) reset() {
	if cap(p.body) > maxPooledBytes {
		p.body = nil
	}
	*p = outgoing{body: p.body[:0], id: p.id[:0]}
}

// envelope writes the JSON around the messages of a packet.
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

func (e *envelope) next(p *outgoing) {
	if p.messages > 0 {
		p.body = append(p.body, ',')
	}
	p.messages++
}

func (e *envelope) close(p *outgoing) {
	p.body = append(p.body, ']', '}')
}
