package receiver

import (
	"context"
	"errors"
	"fmt"
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

	// rejected are the rejected records by the reason, and firstRejected is the error of the first.
	rejected      map[problem.Code]*rejection
	firstRejected error

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

// Begin starts the message of a record; see record.Packets.Begin.
func (q *Request) Begin(m *record.Message, nano int64) {
	q.Untimed = q.Untimed || record.IsUntimed(nano)
	q.Packets.Begin(m, nano, q.Arrival)
}

// Add adds the message of a record to the packets of an emitter, or rejects the record if it is
// larger than a packet may be. The error is a record.UnavailableError.
func (q *Request) Add(to *record.Group, m *record.Message) error {
	if err := to.Add(m); err != nil {
		return q.reject(1, err, to)
	}
	return nil
}

// Reject rejects records, unless err, which says why, is nil or a record.UnavailableError; that is
// the error of the whole request, and is returned. The other records of the request are accepted.
func (q *Request) Reject(records int, err error) error {
	if err == nil {
		return nil
	}
	return q.reject(records, err, nil)
}

// Rejected returns why the first rejected record is rejected, or nil if there is none.
func (q *Request) Rejected() error { return q.firstRejected }

// rejection is the records of a request that are rejected for one reason.
type rejection struct {
	records int
	first   error
	emitter string // of the first, if known
}

// reject is Reject for records of a group, or nil.
func (q *Request) reject(records int, err error, of *record.Group) error {
	if _, unavailable := errors.AsType[record.UnavailableError](err); unavailable {
		return err
	}
	code := problem.Malformed
	if errors.Is(err, record.ErrTooLarge) {
		code = problem.TooLarge
	}
	if q.rejected == nil {
		q.rejected, q.firstRejected = make(map[problem.Code]*rejection), err
	}
	one := q.rejected[code]
	if one == nil {
		one = &rejection{first: err}
		if of != nil {
			one.emitter = string(of.EmitterID())
		}
		q.rejected[code] = one
	}
	one.records += records
	return nil
}

// UnreadError is the error of a body whose records follow each other without lengths: one of them
// is malformed, so that nothing from it on can be read. The records before it are accepted.
type UnreadError struct {
	// Records is the number of records before it.
	Records int
	// Err says why it is malformed.
	Err error
}

// Error implements error.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("record %d: %v; the records before it are accepted", e.Records+1, e.Err)
}

// Unwrap returns Err.
func (e *UnreadError) Unwrap() error { return e.Err }

// refusal returns why the whole request is refused, or an UnreadError if records before it are to
// be accepted; err is an error of the translation, or nil.
func (q *Request) refusal(err error) (*UnreadError, error) {
	unread, isUnread := errors.AsType[*UnreadError](err)
	switch {
	case err != nil && !isUnread:
		return nil, err
	case q.Packets.Len() > 0:
		return unread, nil
	case q.firstRejected != nil:
		return nil, q.firstRejected
	case isUnread:
		return nil, unread.Err
	default:
		return nil, nil
	}
}

// AcceptRequest releases the body and submits the packets, or refuses them if err is an error of
// the translation, as RefuseUntranslated does, or if each record is rejected. After an UnreadError
// it does both. It returns why the packets, or the rest of the request, are not accepted, or nil.
// The target is the one for ContentID.
func (r *Receiver) AcceptRequest(q *Request, target string, err error) *problem.Problem {
	unread, err := q.refusal(err)
	if err != nil {
		r.Release(q.received)
		return r.RefuseUntranslated(q.Packets, err)
	}
	id := r.RequestID(q.from, target, q.Body, q.Untimed)
	r.Release(q.received)
	if why := r.Accept(q.ctx, q.from, q.Packets, id); why != nil {
		return why
	}
	r.rejectOf(q)
	if unread != nil {
		return r.Refuse(*untranslated(unread))
	}
	return nil
}

// rejectOf counts and logs the rejected records of an accepted request.
func (r *Receiver) rejectOf(q *Request) {
	for code, one := range q.rejected {
		attributes := []any{"client", q.Client, "error", one.first}
		if one.emitter != "" {
			attributes = append(attributes, "emitter_id", one.emitter)
		}
		if code == problem.TooLarge {
			attributes = append(attributes, "limit", "MAX_BODY_BYTES", "bytes", r.MaxPacketBytes())
		}
		r.Reject(code, one.records, attributes...)
	}
}
