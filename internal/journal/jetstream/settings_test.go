package jetstream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// makeConsumer creates the stream and a consumer with other settings than those of a distributor.
func makeConsumer(t *testing.T, j *Journal, c Config, change func(*jetstream.ConsumerConfig)) {
	t.Helper()
	stream, err := j.link.JetStream.CreateStream(t.Context(), c.streamConfig(0))
	if err != nil {
		t.Fatal(err)
	}
	settings := consumerConfig(c.subjectOf(0))
	change(&settings)
	if settings.DeliverSubject != "" {
		_, err = stream.CreatePushConsumer(t.Context(), settings)
	} else {
		_, err = stream.CreateConsumer(t.Context(), settings)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Consumers from which pulls would not get the packets are refused by the start and by check.
func testConsumersThatHoldBack(t *testing.T, c Config) {
	j := open(t, c)
	for setting, change := range map[string]func(*jetstream.ConsumerConfig){
		"max_bytes":     func(s *jetstream.ConsumerConfig) { s.MaxRequestMaxBytes = 100_000 },
		"max_expires":   func(s *jetstream.ConsumerConfig) { s.MaxRequestExpires = time.Second },
		"replay_policy": func(s *jetstream.ConsumerConfig) { s.ReplayPolicy = jetstream.ReplayOriginalPolicy },
		"priority_policy": func(s *jetstream.ConsumerConfig) {
			s.PriorityPolicy, s.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"a"}
		},
		"deliver_subject": func(s *jetstream.ConsumerConfig) { s.DeliverSubject = "elsewhere" },
	} {
		other := c
		other.Stream, other.MaxBytes = c.Stream+"-"+setting, 1<<20
		makeConsumer(t, j, other, change)
		_, checked := Check(t.Context(), other)
		_, opened := Open(t.Context(), other, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
		for _, err := range []error{checked, opened} {
			if err == nil || !strings.Contains(err.Error(), "would hold packets back: its "+setting+" is ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", setting, err)
			}
		}
		if _, err := Inspect(t.Context(), other); err != nil { // packets can be exported nevertheless
			t.Errorf("%s: Inspect: %v", setting, err)
		}
	}
}

// With consumers that bound pulls and claims more than distributors do, packets are delivered, and
// the start and check report the setting.
func testConsumersWithConcerns(t *testing.T, c Config) {
	j := open(t, c)
	for setting, change := range map[string]func(*jetstream.ConsumerConfig){
		"max_batch":          func(s *jetstream.ConsumerConfig) { s.MaxRequestBatch = 1 },
		"max_ack_pending":    func(s *jetstream.ConsumerConfig) { s.MaxAckPending = 1 },
		"max_waiting":        func(s *jetstream.ConsumerConfig) { s.MaxWaiting = 1 },
		"inactive_threshold": func(s *jetstream.ConsumerConfig) { s.InactiveThreshold = time.Minute },
		"mem_storage":        func(s *jetstream.ConsumerConfig) { s.MemoryStorage = true },
		"ack_wait": func(s *jetstream.ConsumerConfig) {
			s.BackOff, s.MaxDeliver = []time.Duration{time.Minute, 2 * time.Second}, -1
		},
	} {
		other := c
		other.Stream, other.MaxBytes = c.Stream+"-"+setting, 1<<20
		makeConsumer(t, j, other, change)
		var log lockedBuffer
		opened := openWith(t, other, slog.New(slog.NewTextHandler(&log, nil)))
		report, err := Check(t.Context(), other)
		if err != nil || !strings.Contains(fmt.Sprint(report.Streams[0].Concerns), setting+" is ") || !strings.Contains(log.String(), "setting="+setting) {
			t.Errorf("%s: %v, %v; the log is %s", setting, err, report.Streams, &log)
		}
		for i := range 5 {
			put(t, opened, i, 1)
		}
		for range 5 {
			opened.Ack(get(t, opened, 1))
		}
	}
}

// While a consumer is paused, check and a start report until when.
func testConsumerPaused(t *testing.T, c Config) {
	j := open(t, c)
	later := time.Now().Add(time.Hour)
	if _, err := j.link.JetStream.PauseConsumer(t.Context(), c.streamOf(0), durable, later); err != nil {
		t.Fatal(err)
	}
	report, err := Check(t.Context(), c)
	if err != nil || !strings.Contains(fmt.Sprint(report.Streams[0].Concerns), "nothing is delivered while the consumer is paused: pause_until is ") {
		t.Errorf("%v, %v", err, report.Streams)
	}
}

// A distributor adapts its pulls to a consumer that is changed while it runs, and reports a consumer
// that it cannot use, until that is changed back.
func testConsumerChanged(t *testing.T, c Config) {
	var log lockedBuffer
	j := openWith(t, c, slog.New(slog.NewTextHandler(&log, nil)))
	put(t, j, 0, 1)
	deliver(t, j, 1)
	if err := changeConsumer(t, j, func(s *jetstream.ConsumerConfig) { s.MaxRequestBatch = 1 }); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		put(t, j, i, 1)
	}
	deliver(t, j, 5)
	if err := changeConsumer(t, j, func(s *jetstream.ConsumerConfig) { s.MaxRequestMaxBytes = 1000 }); err != nil {
		t.Fatal(err)
	}
	until(t, "the log says why nothing is received", func() bool {
		journaltest.Fetch(j, nil, 0)
		return strings.Contains(log.String(), "would hold packets back: its max_bytes is 1000")
	})
	if err := changeConsumer(t, j, func(*jetstream.ConsumerConfig) {}); err != nil {
		t.Fatal(err)
	}
	put(t, j, 0, 1)
	deliver(t, j, 1)
}

// The servers may bound the pulls of all consumers.
func TestServerLimitsPulls(t *testing.T) {
	server := natstest.Start(t, natstest.Options{More: "jetstream {limits {max_request_batch: 10}}"})
	j := open(t, testConfig(server.URL(), server.Monitor()))
	put(t, j, 0, 1)
	deliver(t, j, 1)
}

// A concern about a duration has it as text in JSON.
func TestConcernInJSON(t *testing.T) {
	text, err := json.Marshal(consumerConcerns(jetstream.ConsumerConfig{AckWait: time.Second}))
	if err != nil || !strings.Contains(string(text), `"have":"1s","want":"at least 5s"`) {
		t.Errorf("%s, %v", text, err)
	}
}
