package jetstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func testRefusedStreams(t *testing.T, c Config) {
	j := open(t, c)
	for i, change := range []func(*jetstream.StreamConfig){
		func(s *jetstream.StreamConfig) { s.Storage = jetstream.MemoryStorage },
		func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardOld },
		func(s *jetstream.StreamConfig) { s.Retention = jetstream.LimitsPolicy },
		func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour },
		func(s *jetstream.StreamConfig) { s.PersistMode = jetstream.AsyncPersistMode },
		func(s *jetstream.StreamConfig) { s.MaxMsgSize = 1000 },
		func(s *jetstream.StreamConfig) {
			s.SubjectTransform = &jetstream.SubjectTransformConfig{Source: s.Subjects[0], Destination: "elsewhere"}
		},
	} {
		other := c
		other.Stream, other.MaxBytes = fmt.Sprintf("%s-bad-%d", c.Stream, i), 1<<20
		settings := other.streamConfig(0)
		change(&settings)
		if _, err := j.link.JetStream.CreateStream(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), other, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
		if err == nil || !strings.Contains(err.Error(), "would lose packets") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: %v", i, err)
		}
	}
	c.Replicas, c.Stream = 3, c.Stream+"-three"
	if _, err := Open(t.Context(), c, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}}); err == nil || !strings.Contains(err.Error(), "JETSTREAM_REPLICAS must be 1") {
		t.Errorf("three replicas with one server: %v", err)
	}
}

func testRefusedConsumers(t *testing.T, c Config) {
	j := open(t, c)
	for i, change := range []func(*jetstream.ConsumerConfig){
		func(s *jetstream.ConsumerConfig) { s.AckPolicy = jetstream.AckNonePolicy },
		func(s *jetstream.ConsumerConfig) { s.MaxDeliver = 3 },
		func(s *jetstream.ConsumerConfig) { s.FilterSubject = "" },
		func(s *jetstream.ConsumerConfig) { s.HeadersOnly = true },
	} {
		other := c
		other.Stream, other.MaxBytes = fmt.Sprintf("%s-bad-consumer-%d", c.Stream, i), 1<<20
		stream, err := j.link.JetStream.CreateStream(t.Context(), other.streamConfig(0))
		if err != nil {
			t.Fatal(err)
		}
		settings := consumerConfig(other.subjectOf(0))
		if change(&settings); settings.AckPolicy != jetstream.AckExplicitPolicy {
			settings.MaxAckPending, settings.AckWait = 0, 0
		}
		if _, err := stream.CreateConsumer(t.Context(), settings); err != nil {
			t.Log(err) // such a consumer cannot be created for a work queue
			continue
		}
		_, checked := Check(t.Context(), other)
		_, opened := Open(t.Context(), other, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
		for _, err := range []error{checked, opened} {
			if err == nil || !strings.Contains(err.Error(), "would lose packets") {
				t.Errorf("consumer %d: %v", i, err)
			}
		}
	}
}

// Claims that are too short to be extended in time are reported at the start.
func testShortClaims(t *testing.T, c Config) {
	j := open(t, c)
	short := consumerConfig(c.subjectOf(0))
	short.AckWait = time.Second
	if _, err := j.link.JetStream.UpdateConsumer(t.Context(), c.streamOf(0), short); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	other, err := Open(t.Context(), c, Dependencies{Logger: slog.New(slog.NewTextHandler(&log, nil)), Pool: &packet.Pool{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil || !strings.Contains(log.String(), "packets may be delivered twice") {
		t.Errorf("%v, the log is %s", err, &log)
	}
}
