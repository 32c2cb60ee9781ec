package receiver

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// Request is a request over HTTP whose records a protocol translates. It must not be used
// concurrently.
type Request struct {
	Body    []byte
	Packets *record.Packets
	Client  netip.Addr
	Arrival time.Time
	// Untimed is set if a record has no timestamp, so that a repetition of the request is not
	// recognised.
	Untimed bool
	// Skewed is the number of records with a timestamp far in the future or in the past.
	Skewed int

	// tooLarge is how many records are larger than a packet may be, and tooLargeOf and tooLargeWhy
	// the emitter of the first one and its record.ErrTooLarge.
	tooLarge    int
	tooLargeOf  string
	tooLargeWhy error

	ctx      context.Context
	from     Sender
	received *packet.Packet // has Body
}

// NewRequest returns a request with the body that Read returned. The request waits for memory and
// capacity until ctx ends. AcceptRequest ends it.
func (r *Receiver) NewRequest(ctx context.Context, from Sender, body *packet.Packet) *Request {
	return &Request{
		Body: body.Body, Packets: r.NewPackets(ctx, body), Client: from.Client, Arrival: time.Now(),
		ctx: ctx, from: from, received: body,
	}
}

// Begin starts the message of a record; see record.Message.BeginAt.
func (q *Request) Begin(m *record.Message, nano int64) {
	q.Untimed = q.Untimed || nano <= 0
	if m.BeginAt(nano, q.Arrival) {
		q.Skewed++
	}
}

// Add adds the message of a record to the packets of an emitter. A record that is larger than a
// packet may be is rejected when the other records of the request are accepted. The error is a
// record.UnavailableError.
func (q *Request) Add(to *record.Group, m *record.Message) error {
	err := to.Add(m)
	if !errors.Is(err, record.ErrTooLarge) {
		return err
	}
	if q.tooLarge++; q.tooLarge == 1 {
		q.tooLargeOf, q.tooLargeWhy = string(to.EmitterID()), err
	}
	return nil
}

// AcceptRequest releases the body and submits the packets, or refuses them if err is an error of
// the translation, as RefuseUntranslated does, or if each record is too large. It returns why the
// packets are not accepted, or nil. The target is the one for ContentID.
func (r *Receiver) AcceptRequest(q *Request, target string, err error) *problem.Problem {
	r.CountSkewed(q.Skewed)
	if err == nil && q.tooLarge > 0 && q.Packets.Len() == 0 {
		err = q.tooLargeWhy
	}
	if err != nil {
		r.Release(q.received)
		return r.RefuseUntranslated(q.Packets, err)
	}
	id := r.RequestID(q.from, target, q.Body, q.Untimed)
	r.Release(q.received)
	why := r.Accept(q.ctx, q.from, q.Packets, id)
	if why == nil && q.tooLarge > 0 {
		r.Reject(problem.TooLarge, q.tooLarge, "error", q.tooLargeWhy, "emitter_id", q.tooLargeOf, "client", q.Client, "limit", "MAX_BODY_BYTES", "bytes", r.MaxPacketBytes())
	}
	return why
}
