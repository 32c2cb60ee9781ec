package protocoltest

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// Client is the address of the sender of requests.
var Client = netip.MustParseAddr("192.0.2.1")

// Journal takes packets and releases them. It may be used concurrently.
type Journal struct {
	// Full and Unwritable make it refuse packets.
	Full, Unwritable bool
	// Discard makes it keep no texts.
	Discard bool

	t    testing.TB
	mu   sync.Mutex // guards Full, text and ids
	text []string
	ids  []string
}

// SetFull sets Full.
func (j *Journal) SetFull(full bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.Full = full
}

// Append implements intake.Journal.
func (j *Journal) Append(packets []*packet.Packet) (taken int, err error) {
	return len(packets), j.AppendAll(packets)
}

// AppendAll implements intake.Journal.
func (j *Journal) AppendAll(packets []*packet.Packet) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.Full:
		return journal.ErrFull
	case j.Unwritable:
		return journal.ErrUnwritable
	}
	for _, p := range packets {
		if !j.Discard {
			j.text = append(j.text, check(j.t, p)...)
			j.ids = append(j.ids, string(p.PacketID.AppendDecoded(nil, p.Body)))
		}
		p.Release()
	}
	return nil
}

// AppendAsync implements intake.Journal.
func (j *Journal) AppendAsync(packets []*packet.Packet, _ journal.Waiter) (taken int, pending bool, err error) {
	taken, err = j.Append(packets)
	return taken, false, err
}

// CheckCapacity implements intake.Journal.
func (j *Journal) CheckCapacity(int) error { return nil }

// System is an intake with a receiver. The zero values of the settings are the usual ones; they
// are set before New.
type System struct {
	// Tokens is the content of INGEST_TOKENS_FILE; empty is none.
	Tokens string
	// MaxBodyBytes is INPUT_MAX_BODY_BYTES; 0 is 64 MiB.
	MaxBodyBytes int
	// Closed makes analyzers unavailable.
	Closed bool

	Journal  Journal
	Receiver *receiver.Receiver
	Intake   *intake.Intake
	t        testing.TB
}

// Start makes the receiver of a protocol. When the test ends, all memory must be given back.
func (s *System) Start(t testing.TB, protocol string) *System {
	t.Helper()
	s.t, s.Journal.t = t, t
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 10_000}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, code := range problem.Refusals() {
		reasons = append(reasons, string(code))
	}
	s.Intake = intake.New(intake.DefaultConfig(), intake.Dependencies{
		Journal: &s.Journal, Pool: new(packet.Pool), Logger: logger, ProtocolReasons: reasons, InputDuplicates: window,
		Accepting:  func() bool { return !s.Closed },
		RetryAfter: func(intake.Reason) time.Duration { return 9 * time.Second },
	})
	t.Cleanup(func() {
		if held := s.Intake.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	s.Receiver = s.service().Receiver(protocol, protocol)
	return s
}

func (s *System) service() *receiver.Service {
	s.t.Helper()
	metrics, err := receiver.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	deps := receiver.Dependencies{Intake: s.Intake, Metrics: metrics, Limits: func() record.Limits { return limits }}
	if s.Tokens != "" {
		set, err := credential.Parse([]byte(s.Tokens), credential.Emitters)
		if err != nil {
			s.t.Fatal(err)
		}
		deps.Tokens = func() *credential.Set { return set }
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

// Do has a request answered, as "METHOD TARGET" with field lines and a body, and reports whether
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

// Messages returns the messages that the journal took since the last call, as lines in the
// form of Lender.Text.
func (s *System) Messages() string {
	s.Journal.mu.Lock()
	defer s.Journal.mu.Unlock()
	text := strings.Join(s.Journal.text, "\n")
	s.Journal.text = nil
	return text
}

// PacketIDs returns those of all packets that the journal took.
func (s *System) PacketIDs() []string {
	s.Journal.mu.Lock()
	defer s.Journal.mu.Unlock()
	return append([]string(nil), s.Journal.ids...)
}
