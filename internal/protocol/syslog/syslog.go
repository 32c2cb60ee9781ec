// Package syslog takes messages in the formats of RFC 5424 and RFC 3164, and what senders make
// of them, from connections and datagrams.
//
// Syslog has no acknowledgement: a connection is not read while there is no capacity, which
// stops its sender; datagrams are dropped and counted then.
package syslog

import (
	"context"
	"errors"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/datagram"
	"github.com/logstreamer/logstreamer/internal/protocol/framed"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	maxFrame = 1 << 20 // bytes
	// timeout bounds the arrival of a frame that has begun.
	timeout = 30 * time.Second
	// delay is the time that the lines of a connection wait to be a packet with others.
	delay = 50 * time.Millisecond
	// maxKeptFrames bounds the frames for which a connection keeps memory.
	maxKeptFrames = 2048
	// compressed is the first byte of a stream that rsyslog compresses (zlib).
	compressed = 0x78
	// compressedMessage is the first byte of a message that rsyslog compresses.
	compressedMessage = 'z'
)

// errCompressed ends a connection with stream compression.
var errCompressed = errors.New("the stream is compressed, which syslog does not define (rsyslog: compression.mode): it must not be")

// Protocol accepts the syslog messages of one input. It may be used concurrently, except
// HandleDatagrams.
type Protocol struct {
	receiver *receiver.Receiver
	zone     *time.Location
	datagram translator
	frames   []frame
}

// New returns a Protocol. Timestamps without a time zone are in the given zone.
func New(r *receiver.Receiver, zone *time.Location) *Protocol {
	p := &Protocol{receiver: r, zone: zone}
	p.datagram = p.newTranslator()
	return p
}

func (p *Protocol) newTranslator() translator {
	return translator{receiver: p.receiver, calendar: calendar{zone: p.zone}}
}

// HandleConnection implements stream.Handler.
func (p *Protocol) HandleConnection(ctx context.Context, c stream.Conn) {
	client := p.receiver.Client(c.Client, credential.OfCertificate(c.Certificate))
	if _, fault := client.Sender(); fault != nil {
		return
	}
	s := &session{protocol: p, client: client, peer: c.Peer().AppendTo(nil), translator: p.newTranslator()}
	s.visit = s.add
	config := framed.Config{MaxFrame: maxFrame + len("1000000000 "), Timeout: timeout, Delay: delay}
	err := framed.Read(ctx, c.Conn, config, p.receiver, s)
	fault := framed.Refusal(err)
	if errors.Is(err, errCompressed) {
		fault = &problem.Problem{Code: problem.UnsupportedEncoding, Detail: err.Error()}
	}
	if fault != nil {
		p.receiver.LogClosed(c.RemoteAddr(), p.receiver.Refuse(*fault))
	}
}

// session is one connection.
type session struct {
	protocol *Protocol
	client   *receiver.Client
	peer     []byte
	splitter splitter
	begun    bool
	frames   []frame
	visit    func(content []byte) // add, bound once
	translator
}

func (s *session) add(content []byte) {
	if len(content) > 0 {
		s.frames = append(s.frames, frame{content, s.peer})
	}
}

// Consume implements framed.Consumer.
func (s *session) Consume(ctx context.Context, data []byte, ended bool) (used int, err error) {
	if !s.begun && len(data) > 0 {
		if s.begun = true; data[0] == compressed {
			return 0, errCompressed
		}
	}
	s.frames = s.frames[:0]
	used = s.splitter.split(data, ended, maxFrame, s.visit)
	s.receiver.Reject(problem.TooLarge, s.splitter.tooLarge)
	s.splitter.tooLarge = 0
	from, fault := s.client.Sender()
	if fault != nil {
		s.receiver.Reject(fault.Code, len(s.frames), "client", string(s.peer))
		return used, fault
	}
	s.persist(ctx, from, s.frames, used)
	if cap(s.frames) > maxKeptFrames {
		s.frames = nil
	}
	return used, nil
}

// HandleDatagrams implements datagram.Handler.
func (p *Protocol) HandleDatagrams(ctx context.Context, batch []datagram.Datagram) {
	p.frames = p.frames[:0]
	bytes := 0
	for _, d := range batch {
		if content := trimEnd(d.Payload); len(content) > 0 {
			p.frames = append(p.frames, frame{content, p.datagram.address(d.From.Addr())})
			bytes += len(content)
		}
	}
	p.datagram.persist(ctx, receiver.Sender{}, p.frames, bytes) // a batch has many senders
}
