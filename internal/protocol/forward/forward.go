// Package forward takes events of Fluentd's Forward protocol, version 1: Message, Forward,
// PackedForward and CompressedPackedForward mode, with acknowledgements and shared keys.
//
// The protocol has no refusal. A chunk is acknowledged once its packets are accepted. While
// there is no capacity the connection is not read and the acknowledgement is held; then the
// connection is closed, and clients that wait for acknowledgements send the chunk again.
package forward

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/framed"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	// holdTimeout is how long a chunk waits to be read, and an acknowledgement for capacity. Clients
	// have timeouts of their own, Fluentd's being a minute.
	holdTimeout = 30 * time.Second
	// frameTimeout bounds the arrival of a message that has begun.
	frameTimeout = 30 * time.Second
	// maxPending bounds the frames that are accepted together, and with them the memory for frames that
	// are smaller than what describes them.
	maxPending = 1024
	// writeTimeout bounds an acknowledgement.
	writeTimeout = 10 * time.Second
)

// Config holds the user settings; the tags are those of package config.
type Config struct {
	SharedKey string `env:"FORWARD_SHARED_KEY" secret:"true" help:"shared key that senders of the input forward must prove to have (default: none is needed)"`
}

// Protocol takes events. It may be used concurrently.
type Protocol struct {
	config   Config
	receiver *receiver.Receiver
}

// New returns a Protocol.
func New(config Config, r *receiver.Receiver) *Protocol {
	return &Protocol{config, r}
}

// session is one connection.
type session struct {
	protocol  *Protocol
	conn      net.Conn
	client    *receiver.Client
	from      receiver.Sender // client, at the last frame
	handshake *handshake      // nil: the client is authenticated
	scanner   scanner
	pending   []*frame // without a chunk, to be accepted together
	bytes     int      // of pending
	ack       []byte
	translator
}

// HandleConnection implements stream.Handler.
func (p *Protocol) HandleConnection(ctx context.Context, c stream.Conn) {
	identity := credential.OfCertificate(c.Certificate)
	s := &session{protocol: p, conn: c.Conn, client: p.receiver.Client(c.Client, identity), from: receiver.Sender{Client: c.Client}}
	s.translator = translator{receiver: p.receiver, peer: c.Peer()}
	needsUser := p.receiver.NeedsToken() && identity.In(p.receiver.Principals()) == nil
	if p.config.SharedKey != "" || needsUser {
		s.handshake = newHandshake(p.config.SharedKey, needsUser)
		s.handshake.timer = time.AfterFunc(handshakeTimeout, func() { _ = c.Close() })
		defer s.handshake.timer.Stop()
		if s.write(s.handshake.helo()) != nil {
			return
		}
	}
	config := framed.Config{MaxFrame: p.receiver.MaxBodyBytes(), Timeout: frameTimeout, Hold: holdTimeout}
	p.closed(c.RemoteAddr(), framed.Read(ctx, c.Conn, config, p.receiver, s))
}

// closed counts and logs the reasons for which a client does not expect the end of its connection.
func (p *Protocol) closed(client net.Addr, err error) {
	fault, counted := framed.Refusal(err), false
	switch {
	case errors.Is(err, errInvalid), errors.Is(err, errNesting), errors.Is(err, errFrame):
		fault = &problem.Problem{Code: problem.Malformed, Detail: err.Error()}
	case errors.Is(err, errSize):
		fault = &problem.Problem{Code: problem.TooLarge, Detail: err.Error()}
	case fault == nil:
		counted = errors.As(err, &fault)
	}
	if fault == nil {
		return
	}
	if !counted {
		fault = p.receiver.Refuse(*fault)
	}
	p.receiver.LogClosed(client, fault)
}

// Consume implements framed.Consumer.
func (s *session) Consume(ctx context.Context, data []byte, _ bool) (used int, err error) {
	s.pending, s.bytes = s.pending[:0], 0
	for used < len(data) {
		var complete bool
		complete, err = s.scanner.scan(data[used:], s.maxMessage())
		if s.handshake != nil && errors.Is(err, errSize) {
			err = s.refuse(ping{}, "PING is too large")
		}
		if err != nil || !complete {
			break
		}
		message := data[used : used+s.scanner.at]
		used += s.scanner.at
		s.scanner = scanner{}
		if err = s.take(ctx, message); err != nil {
			break
		}
	}
	return used, errors.Join(s.flush(ctx), err)
}

// maxMessage returns the maximum size of the next message in bytes.
func (s *session) maxMessage() int {
	if s.handshake != nil {
		return maxPing
	}
	return s.receiver.MaxBodyBytes()
}

// take handles one message of the protocol.
func (s *session) take(ctx context.Context, message []byte) error {
	if s.handshake != nil {
		return s.authenticate(message)
	}
	f, err := parseFrame(message)
	if f == nil || err != nil {
		return err
	}
	if err := s.authorize(f); err != nil {
		return err
	}
	switch {
	case f.signal:
		s.receiver.Reject(problem.InvalidPacket, f.events())
	case f.chunk == nil:
		s.pending = append(s.pending, f)
		if s.bytes += len(message); len(s.pending) < maxPending {
			return nil
		}
		return s.flush(ctx)
	default:
		if err := s.flush(ctx); err != nil {
			return err
		}
		fault := s.accept(ctx, f, len(message))
		switch {
		case fault == nil:
		case fault.Code == problem.TooLarge: // a later attempt would be refused for the same reason
			s.receiver.Reject(fault.Code, f.events(), "client", s.conn.RemoteAddr().String(), "detail", fault.Detail)
		default:
			return fault // the client sends the chunk again
		}
	}
	return s.acknowledge(f.chunk)
}

// authorize returns an error if the client may no longer send.
func (s *session) authorize(f *frame) error {
	from, fault := s.client.Sender()
	if fault == nil {
		s.from = from
		return nil
	}
	if f.chunk == nil { // the client does not send it again
		s.receiver.Reject(fault.Code, f.events())
	}
	return fault
}

// flush submits the pending frames.
func (s *session) flush(ctx context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	pending, bytes := s.pending, s.bytes
	s.pending, s.bytes = s.pending[:0], 0
	defer clear(pending)
	defer s.trim()
	fault := s.receiver.PersistParts(ctx, s.from, receiver.Records{
		Count: len(pending), Bytes: bytes, Timeout: holdTimeout,
		Events: func(n int) int { return pending[n].events() },
		Translate: func(packets *record.Packets, first, end int) error {
			for _, f := range pending[first:end] {
				if err := s.add(packets, f); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if fault == nil {
		return nil // a *problem.Problem would be no nil error
	}
	return fault
}

// accept submits a frame of that many bytes with a chunk.
func (s *session) accept(ctx context.Context, f *frame, bytes int) *problem.Problem {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	defer s.trim()
	id := packetID(s.receiver, s.from, f)
	return s.receiver.Persist(ctx, s.from, bytes, func(packets *record.Packets) (receiver.ID, error) {
		return id, s.add(packets, f)
	})
}

// acknowledge sends the acknowledgement of a chunk in one write: some clients read one
// acknowledgement per read.
func (s *session) acknowledge(chunk []byte) error {
	if chunk == nil {
		return nil
	}
	s.ack = appendStr(append(s.ack[:0], 0x81), "ack")
	s.ack = appendStr(s.ack, string(chunk))
	return s.write(s.ack)
}

func (s *session) write(message []byte) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.conn.Write(message)
	return err
}
