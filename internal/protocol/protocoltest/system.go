// Package protocoltest provides an intake with a receiver for tests of packages that translate
// protocols: its journal records packets, and requests over HTTP are answered without a network.
package protocoltest

import (
	"cmp"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// MaxPacketBytes is the maximum size of a packet.
const MaxPacketBytes = 1 << 20

// limits are the limits of packets.
var limits = record.Limits{Bytes: MaxPacketBytes, Messages: 10_000}

// Client is the address of the sender of requests.
var Client = netip.MustParseAddr("192.0.2.1")

// System is an intake with a receiver. The zero values of the settings are the defaults; they are
// set before Start.
type System struct {
	// Tokens is the content of INGEST_TOKENS_FILE; empty means no file.
	Tokens string
	// MaxBodyBytes is INPUT_MAX_BODY_BYTES; 0 is 64 MiB.
	MaxBodyBytes int
	// Closed makes analyzers unavailable.
	Closed bool
	// RetryAfter is the wait that refused senders are asked for; 0 is 9 s.
	RetryAfter time.Duration
	// Logger is that of the receiver; nil: nothing is logged.
	Logger *slog.Logger

	Journal  Journal
	Receiver *receiver.Receiver

	t        testing.TB
	intake   *intake.Intake
	registry *prometheus.Registry
	tokens   atomic.Pointer[credential.Set]
}

// Start makes the receiver of a protocol. When the test ends, no memory may be held.
func (s *System) Start(t testing.TB, protocol string) *System {
	t.Helper()
	s.t, s.registry = t, prometheus.NewRegistry()
	s.Journal.t, s.Journal.changed = t, make(chan struct{})
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 10_000}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, code := range problem.Refusals() {
		reasons = append(reasons, string(code))
	}
	s.intake = intake.New(intake.DefaultConfig(), intake.Dependencies{
		Journal: &s.Journal, Pool: new(packet.Pool), Logger: logger, ProtocolReasons: reasons, InputDuplicates: window,
		Accepting:  func() bool { return !s.Closed },
		RetryAfter: func(intake.Reason) time.Duration { return cmp.Or(s.RetryAfter, 9*time.Second) },
	})
	t.Cleanup(func() {
		if held := s.intake.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	s.Receiver = s.service().Receiver(protocol, protocol)
	return s
}

func (s *System) service() *receiver.Service {
	s.t.Helper()
	metrics, err := receiver.NewMetrics(s.registry)
	if err != nil {
		s.t.Fatal(err)
	}
	deps := receiver.Dependencies{Intake: s.intake, Metrics: metrics, Limits: func() record.Limits { return limits }, Logger: cmp.Or(s.Logger, slog.New(slog.DiscardHandler))}
	if s.Tokens != "" {
		s.ReplaceTokens(s.Tokens)
		deps.Tokens = s.tokens.Load
	}
	config := receiver.DefaultConfig()
	if s.MaxBodyBytes > 0 {
		config.MaxBodyBytes = s.MaxBodyBytes
	}
	service, err := receiver.NewService(config, deps)
	if err != nil {
		s.t.Fatal(err)
	}
	return service
}

// ReplaceTokens replaces the content of INGEST_TOKENS_FILE.
func (s *System) ReplaceTokens(content string) {
	s.t.Helper()
	set, err := credential.Parse([]byte(content), credential.Emitters)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tokens.Store(set)
}

// Do handles a request, given as "METHOD TARGET" with field lines and a body, and reports whether
// the protocol knows the path.
func (s *System) Do(protocol receiver.HTTP, request, body string, fields ...string) (http1.Response, bool) {
	s.t.Helper()
	lines := append([]string{request + " HTTP/1.1", "Host: h"}, fields...)
	head, err := http1.Parse([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), 1<<20)
	if err != nil {
		s.t.Fatalf("%s: %v", request, err)
	}
	if head.Length < 0 {
		head.Length = int64(len(body))
	}
	var response http1.Response
	handled := protocol.Handle(server.NewRequest(&head, strings.NewReader(body), Client, time.Now()), &response)
	if response.Sent != nil {
		response.Body = append([]byte(nil), response.Body...)
		response.Sent()
	}
	return response, handled
}

// NewText returns the messages that the journal has taken since the last call, as lines; see
// TextOf.
func (s *System) NewText() string { return textOf(s.Journal.unshown()) }

// TextOf completes packets, which it does not release, and returns their messages as lines:
// emitter, timestamp, level, text and its type, and the metadata, each with its type in
// parentheses.
func (s *System) TextOf(packets *record.Packets) string {
	s.t.Helper()
	var decoded []Packet
	for _, p := range packets.Seal("test-0123") {
		decoded = append(decoded, decode(s.t, p))
		s.Receiver.Release(p)
	}
	return textOf(decoded)
}

// PacketIDs returns the ids of all packets that the journal has taken.
func (s *System) PacketIDs() (ids []string) {
	for _, p := range s.Journal.Packets() {
		ids = append(ids, p.PacketID)
	}
	return ids
}

// Messages returns the messages of all packets that the journal has taken.
func (s *System) Messages() (messages []Message) {
	for _, p := range s.Journal.Packets() {
		messages = append(messages, p.Messages...)
	}
	return messages
}

// Await waits until the journal has taken that many messages, and returns all messages.
func (s *System) Await(messages int) []Message {
	s.t.Helper()
	timeout := time.After(time.Minute)
	for {
		_, changed := s.Journal.state()
		got := s.Messages()
		if len(got) >= messages {
			return got
		}
		select {
		case <-changed:
		case <-timeout:
			s.t.Fatalf("%d messages were accepted, want %d", len(got), messages)
		}
	}
}

// Count returns the sum of the series of a counter, such as
// distributor_input_rejected_records_total, with a reason, or of all of them if it is empty.
func (s *System) Count(name, reason string) (sum float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			counts := reason == ""
			for _, label := range m.GetLabel() {
				counts = counts || label.GetName() == "reason" && label.GetValue() == reason
			}
			if counts {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// AwaitCount waits until Count is at least the given number.
func (s *System) AwaitCount(name, reason string, want float64) {
	s.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(time.Minute); s.Count(name, reason) < want; {
		select {
		case <-ticker.C:
		case <-timeout:
			s.t.Fatalf("%s{reason=%q} is %v, want %v", name, reason, s.Count(name, reason), want)
		}
	}
}
