// Package receivertest has a receiver for tests of protocols: its journal records packets.
package receivertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// Limits of the fixture.
const (
	MaxPacketBytes = 1 << 20
	MaxBodyBytes   = 4 << 20
)

// Options change a fixture.
type Options struct {
	Input, Protocol string // "test" without
	// Tokens is the text of a file of tokens; empty for none.
	Tokens string
	// Discard lets the journal record nothing, for benchmarks.
	Discard bool
}

// Fixture is a receiver, whose packets its journal records.
type Fixture struct {
	testing.TB
	*receiver.Receiver
	Registry *prometheus.Registry
	Memory   *intake.Memory

	journal *recorder
}

// New returns a fixture. The test fails if memory is held at its end.
func New(t testing.TB, options Options) *Fixture {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	window, err := dedupe.Open(dedupe.Config{Window: time.Hour, Packets: 1000}, logger, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &Fixture{TB: t, Registry: prometheus.NewRegistry(), journal: &recorder{t: t, discard: options.Discard, wake: make(chan struct{})}}
	in := intake.New(intake.Config{MemoryBytes: 64 << 20, Ack: intake.AckQueued, Mode: intake.ModeOpen}, intake.Dependencies{
		Journal: f.journal, Pool: new(packet.Pool), Accepting: func() bool { return true }, InputDuplicates: window,
		RetryAfter: func(intake.Reason) time.Duration { return time.Second }, Logger: logger, ProtocolReasons: reasons(),
	})
	f.Memory = in.Memory()
	metrics, err := receiver.NewMetrics(f.Registry)
	if err != nil {
		t.Fatal(err)
	}
	deps := receiver.Dependencies{Intake: in, Metrics: metrics, Limits: func() record.Limits { return record.Limits{Bytes: MaxPacketBytes, Messages: 500} }}
	if options.Tokens != "" {
		set, err := credential.Parse([]byte(options.Tokens), credential.Emitters)
		if err != nil {
			t.Fatal(err)
		}
		deps.Tokens = func() *credential.Set { return set }
	}
	service, err := receiver.NewService(receiver.Config{MaxBodyBytes: MaxBodyBytes}, deps)
	if err != nil {
		t.Fatal(err)
	}
	if options.Input == "" {
		options.Input, options.Protocol = "test", "test"
	}
	f.Receiver = service.Receiver(options.Input, options.Protocol)
	t.Cleanup(func() {
		if held := in.Memory().Held(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
	return f
}

func reasons() (all []string) {
	for _, code := range problem.Refusals() {
		all = append(all, string(code))
	}
	return all
}

// Fill lets the journal have no capacity, or have it again.
func (f *Fixture) Fill(full bool) {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	f.journal.full = full
}

// Packet is a packet as an analyzer reads it.
type Packet struct {
	EmitterID string    `json:"emitter_id"`
	PacketID  string    `json:"packet_id"`
	Messages  []Message `json:"messages"`
}

// Message is a message of a Packet.
type Message struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Text      string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
	Types     map[string]string `json:"types"`
	BodyType  string            `json:"body_type"`
}

// Packets returns the packets that were accepted.
func (f *Fixture) Packets() []Packet {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	return append([]Packet(nil), f.journal.packets...)
}

// Messages returns the messages of all packets.
func (f *Fixture) Messages() (messages []Message) {
	for _, p := range f.Packets() {
		messages = append(messages, p.Messages...)
	}
	return messages
}

// Await waits until that many messages are accepted, and returns all.
func (f *Fixture) Await(messages int) []Message {
	f.Helper()
	timeout := time.After(time.Minute)
	for {
		f.journal.mu.Lock()
		wake := f.journal.wake
		f.journal.mu.Unlock()
		if got := f.Messages(); len(got) >= messages {
			return got
		}
		select {
		case <-wake:
		case <-timeout:
			f.Fatalf("%d messages were accepted, want %d", len(f.Messages()), messages)
		}
	}
}

// Count returns the sum of a counter's series, such as distributor_input_rejected_records_total,
// with a reason, or with any if it is empty.
func (f *Fixture) Count(name, reason string) (sum float64) {
	f.Helper()
	families, err := f.Registry.Gather()
	if err != nil {
		f.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "input" && reason == "" || label.GetName() == "reason" && label.GetValue() == reason {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// AwaitCount waits until Count is at least that.
func (f *Fixture) AwaitCount(name, reason string, want float64) {
	f.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(time.Minute); f.Count(name, reason) < want; {
		select {
		case <-ticker.C:
		case <-timeout:
			f.Fatalf("%s{reason=%q} is %v, want %v", name, reason, f.Count(name, reason), want)
		}
	}
}

// recorder is a journal that checks each packet against the native parser.
type recorder struct {
	intake.Journal
	t       testing.TB
	discard bool

	mu      sync.Mutex // guards the fields below
	full    bool
	packets []Packet
	wake    chan struct{} // closed after each change
}

func (j *recorder) CheckCapacity(int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		return journal.ErrFull
	}
	return nil
}

func (j *recorder) AppendAll(packets []*packet.Packet) error {
	if err := j.CheckCapacity(0); err != nil {
		return err
	}
	for _, p := range packets {
		if !j.discard {
			j.record(p)
		}
		p.Release()
	}
	return nil
}

func (j *recorder) record(p *packet.Packet) {
	var decoded Packet
	err := Check(p.Body, p.Info)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(p.Body)).Decode(&decoded)
	}
	if err != nil {
		j.t.Errorf("%v: %.2000s", err, p.Body)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.packets = append(j.packets, decoded)
	close(j.wake)
	j.wake = make(chan struct{})
}

// Check returns an error unless a body is a valid packet with that Info.
func Check(body []byte, info packet.Info) error {
	checked, err := packet.Check(body, 500)
	if err != nil {
		return err
	}
	if checked != info {
		return fmt.Errorf("the packet has %+v, its translation says %+v", checked, info)
	}
	return nil
}
