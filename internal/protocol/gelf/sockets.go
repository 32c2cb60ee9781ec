package gelf

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/datagram"
	"github.com/logstreamer/logstreamer/internal/protocol/framed"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	maxFrame = 2 << 20 // bytes of a record on a connection
	// frameTimeout bounds the arrival of a record that has begun.
	frameTimeout = 30 * time.Second
	// maxKeptPayloads bounds the payloads for which a connection keeps memory.
	maxKeptPayloads = 2048
	// frameDelay is how long records of a connection wait for others, to share a packet.
	frameDelay = 50 * time.Millisecond
)

// Sockets takes records from connections and datagrams. It may be used concurrently, except
// HandleDatagrams and DropChunks.
type Sockets struct {
	receiver  *receiver.Receiver
	chunks    assembler
	datagrams batch
}

// NewSockets returns a Sockets.
func NewSockets(r *receiver.Receiver) *Sockets {
	return &Sockets{receiver: r, datagrams: batch{receiver: r}}
}

// HandleConnection implements stream.Handler: records end with NUL.
func (s *Sockets) HandleConnection(ctx context.Context, c stream.Conn) {
	client := s.receiver.Client(c.Client, credential.OfCertificate(c.Certificate))
	if _, fault := client.Sender(); fault != nil {
		return
	}
	one := &connection{client: client, peer: c.Peer(), batch: batch{receiver: s.receiver}}
	config := framed.Config{MaxFrame: maxFrame, Timeout: frameTimeout, Delay: frameDelay}
	err := framed.Read(ctx, c.Conn, config, s.receiver, one)
	if fault := framed.Refusal(err); fault != nil {
		s.receiver.LogClosed(c.RemoteAddr(), s.receiver.Refuse(*fault))
	}
}

// connection is a framed.Consumer.
type connection struct {
	client  *receiver.Client
	peer    netip.Addr
	scanned int // bytes of the record that begins the data, without an end
	batch
}

// Consume implements framed.Consumer.
func (c *connection) Consume(ctx context.Context, data []byte, ended bool) (used int, err error) {
	c.payloads = c.payloads[:0]
	for used < len(data) {
		n := bytes.IndexByte(data[used+c.scanned:], 0)
		if n < 0 && !ended {
			c.scanned = len(data) - used
			break
		}
		end := used + c.scanned + n
		if c.scanned = 0; n < 0 {
			end = len(data)
		}
		c.add(data[used:end], c.peer)
		used = min(end+1, len(data))
	}
	from, fault := c.client.Sender()
	if fault != nil {
		c.receiver.Reject(fault.Code, len(c.payloads), "client", c.peer)
		return used, fault
	}
	c.persist(ctx, from, used)
	if cap(c.payloads) > maxKeptPayloads {
		c.payloads = nil
	}
	return used, nil
}

// HandleDatagrams implements datagram.Handler.
func (s *Sockets) HandleDatagrams(ctx context.Context, datagrams []datagram.Datagram) {
	now := time.Now()
	s.chunks.expire(now.Add(-chunkTimeout))
	b := &s.datagrams
	b.payloads = b.payloads[:0]
	size := 0
	for _, d := range datagrams {
		payload := d.Payload
		if bytes.HasPrefix(payload, []byte(chunkMagic)) {
			payload = s.chunks.add(d.From, payload, now)
		}
		b.add(payload, d.From.Addr().Unmap().WithZone(""))
		size += len(payload)
	}
	s.countLost()
	b.persist(ctx, receiver.Sender{}, size) // a batch has many senders
}

// DropChunks drops and counts the records of which chunks are missing.
func (s *Sockets) DropChunks() {
	s.chunks.expire(time.Now().Add(time.Hour))
	s.countLost()
}

func (s *Sockets) countLost() {
	s.receiver.Reject(problem.Malformed, s.chunks.lost.malformed)
	s.receiver.Reject(problem.SlowRequest, s.chunks.lost.expired)
	s.receiver.Reject(problem.Overloaded, s.chunks.lost.overflowed)
	s.chunks.lost = lost{}
}

// payload is a record as it arrived.
type payload struct {
	content []byte
	peer    netip.Addr
}

// batch has the records of some payloads accepted together. It must not be used concurrently.
type batch struct {
	receiver   *receiver.Receiver
	payloads   []payload
	translator translator
}

// add adds a payload, unless it is empty.
func (b *batch) add(content []byte, peer netip.Addr) {
	if len(content) > 0 && (codingOf(content) != "" || len(bytes.TrimSpace(content)) > 0) {
		b.payloads = append(b.payloads, payload{content, peer})
	}
}

// persist has the records accepted, and counts those that are not. Size is that of all payloads
// in bytes.
func (b *batch) persist(ctx context.Context, from receiver.Sender, size int) {
	b.receiver.PersistParts(ctx, from, receiver.Records{
		Count: len(b.payloads), Bytes: size,
		Translate: func(packets *record.Packets, first, end int) error {
			return b.translate(packets, from, b.payloads[first:end])
		},
	})
	b.translator.trim()
}

func (b *batch) translate(packets *record.Packets, from receiver.Sender, payloads []payload) error {
	arrival := time.Now()
	for _, p := range payloads {
		if err := b.one(packets, from, p, arrival); err != nil {
			return err
		}
	}
	return nil
}

// one adds a record. After an error the whole batch is retried.
func (b *batch) one(packets *record.Packets, from receiver.Sender, p payload, arrival time.Time) error {
	content := p.content
	if coding := codingOf(content); coding != "" {
		decoded, fault := b.receiver.Decode(coding, content)
		switch {
		case fault != nil && fault.Code == problem.Overloaded:
			return fault
		case fault != nil:
			packets.Reject(string(fault.Code), 1)
			return nil
		}
		defer b.receiver.Release(decoded)
		content = decoded.Body
	}
	t := &b.translator
	nano, err := t.read(content)
	if err != nil {
		packets.Reject(string(problem.Malformed), 1)
		return nil
	}
	packets.Begin(&t.message, nano, arrival)
	emitter := t.fill(p.peer)
	if from.Principal != nil && !from.Principal.AllowsEmitter(emitter) {
		packets.Reject(string(problem.EmitterNotAllowed), 1)
		return nil
	}
	if err = packets.Group(emitter).Add(&t.message); errors.Is(err, record.ErrTooLarge) {
		packets.Reject(string(problem.TooLarge), 1)
		return nil
	}
	return err
}

// codingOf returns how a payload is compressed, or "".
func codingOf(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("\x1f\x8b")):
		return "gzip"
	case content[0] == 0x78:
		return "deflate"
	default:
		return ""
	}
}
