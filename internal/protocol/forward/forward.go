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
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/framed"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	// holdTimeout is how long an acknowledgement waits for capacity. Clients have timeouts of
	// their own, Fluentd's being a minute.
	holdTimeout = 30 * time.Second
	// frameTimeout bounds the arrival of a message that has begun.
	frameTimeout = 30 * time.Second
	// writeTimeout bounds an answer.
	writeTimeout = 10 * time.Second
)

// errNotAccepted ends a connection with events that are not accepted.
var errNotAccepted = errors.New("the events are not accepted")

// Config holds the user settings; the tags are those of package config.
type Config struct {
	SharedKey string `env:"FORWARD_SHARED_KEY" secret:"true" help:"shared key that senders of the input forward must prove to have (default: none is needed)"`
}

// Protocol takes events. It may be used concurrently.
type Protocol struct {
	config   Config
	receiver *receiver.Receiver
	logger   *slog.Logger
}

// New returns a Protocol.
func New(config Config, r *receiver.Receiver, logger *slog.Logger) *Protocol {
	return &Protocol{config, r, logger}
}

// session is one connection.
type session struct {
	protocol  *Protocol
	conn      net.Conn
	from      receiver.Sender
	handshake *handshake // nil: the client is authenticated
	scanner   scanner
	pending   []*frame // without a chunk, to be accepted together
	bytes     int      // of pending
	ack       []byte
	translator
}

// HandleConnection implements stream.Handler.
func (p *Protocol) HandleConnection(ctx context.Context, c stream.Conn) {
	s := &session{protocol: p, conn: c.Conn, from: receiver.Sender{Client: c.Client}}
	s.translator = translator{receiver: p.receiver, peer: addressOf(c.RemoteAddr())}
	needsUser := false
	if p.receiver.NeedsToken() {
		s.from.Principal = p.receiver.Principals().Certificate(c.Certificate)
		needsUser = s.from.Principal == nil
	}
	if p.config.SharedKey != "" || needsUser {
		s.handshake = newHandshake(p.config.SharedKey, needsUser)
		s.handshake.timer = time.AfterFunc(handshakeTimeout, func() { _ = c.Close() })
		defer s.handshake.timer.Stop()
		if s.write(s.handshake.helo()) != nil {
			return
		}
	}
	config := framed.Config{MaxFrame: p.receiver.MaxBodyBytes(), Timeout: frameTimeout}
	p.closed(c.RemoteAddr(), framed.Read(ctx, c.Conn, config, p.receiver, s))
}

// closed counts and logs why a connection was closed that a client should not expect.
func (p *Protocol) closed(client net.Addr, err error) {
	fault := framed.Refusal(err)
	switch {
	case errors.Is(err, errInvalid), errors.Is(err, errNesting), errors.Is(err, errFrame):
		fault = &problem.Problem{Code: problem.Malformed}
	case errors.Is(err, errSize):
		fault = &problem.Problem{Code: problem.TooLarge}
	case errors.Is(err, errNotAccepted), errors.Is(err, errUnauthorized): // they are counted
		p.logger.Warn("a connection is closed", "client", client.String(), "error", err)
	}
	if fault != nil {
		p.receiver.Refuse(*fault)
		p.logger.Warn("a connection is closed", "client", client.String(), "reason", string(fault.Code), "error", err)
	}
}

// addressOf returns the IP address of a peer.
func addressOf(addr net.Addr) netip.Addr {
	parsed, _ := netip.ParseAddrPort(addr.String())
	return parsed.Addr().Unmap().WithZone("")
}

// Consume implements framed.Consumer.
func (s *session) Consume(ctx context.Context, data []byte, _ bool) (used int, err error) {
	s.pending, s.bytes = s.pending[:0], 0
	for used < len(data) {
		var complete bool
		complete, err = s.scanner.scan(data[used:], s.receiver.MaxBodyBytes())
		if err != nil || !complete {
			break
		}
		message := data[used : used+s.scanner.at]
		used += s.scanner.at
		s.scanner = scanner{}
		if err = s.take(ctx, message); err != nil {
			return used, err
		}
	}
	return used, errors.Join(s.flush(ctx), err)
}

// take takes one message of the protocol.
func (s *session) take(ctx context.Context, message []byte) error {
	if s.handshake != nil {
		return s.authenticate(message)
	}
	f, err := parseFrame(message)
	switch {
	case err != nil:
		return errors.Join(s.flush(ctx), err)
	case f == nil:
		return nil
	case f.signal:
		s.receiver.Reject(problem.InvalidPacket, f.events())
	case f.chunk == nil:
		s.pending = append(s.pending, f)
		s.bytes += len(message)
		return nil
	default:
		if err := s.flush(ctx); err != nil {
			return err
		}
		id := packetID(s.receiver, s.from, f)
		if fault := s.accept(ctx, id, len(message), f); fault != nil {
			return errNotAccepted // the client sends the chunk again
		}
	}
	return s.acknowledge(f.chunk)
}

// flush has the pending frames accepted.
func (s *session) flush(ctx context.Context) error {
	if len(s.pending) == 0 {
		return nil
	}
	fault := s.accept(ctx, s.receiver.SequenceID(), s.bytes, s.pending...)
	if fault != nil && fault.Code != problem.AckTimeout { // then they are accepted
		lost := 0
		for _, f := range s.pending {
			lost += f.events()
		}
		s.receiver.Reject(fault.Code, lost)
		return errNotAccepted
	}
	s.pending, s.bytes = s.pending[:0], 0
	return nil
}

func (s *session) accept(ctx context.Context, id string, bytes int, frames ...*frame) *problem.Problem {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	fault := s.receiver.Persist(ctx, s.from, bytes, func(packets *record.Packets) (string, error) {
		s.begin()
		for _, f := range frames {
			if err := s.add(packets, f); err != nil {
				return "", err
			}
		}
		return id, nil
	})
	if fault == nil {
		s.end()
	}
	return fault
}

// acknowledge answers a chunk, in one write: some clients read one answer at a time.
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
