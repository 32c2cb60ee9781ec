package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// Without NATS packets are refused at once; when NATS is back, the journal works again, and no
// packet is lost.
func TestOutage(t *testing.T) {
	server := natstest.New(t, natstest.Options{})
	j := open(t, testConfig(server.URL(), server.Monitor())) // the journal is opened without NATS
	if err := j.CheckCapacity(100); !errors.Is(err, journal.ErrUnwritable) {
		t.Fatalf("without NATS: %v", err)
	}
	server.Restart()
	until(t, "packets are taken", func() bool { return j.CheckCapacity(100) == nil })
	put(t, j, 0, 10)
	fetched := get(t, j, 10)
	server.Kill()
	until(t, "the loss is noticed", func() bool { return errors.Is(j.CheckCapacity(100), journal.ErrUnwritable) })
	var packets journaltest.Packets
	if n, err := j.Append([]*packet.Packet{packets.Make(t, "emitter", "x", 300)}); n != 0 || !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("%d, %v", n, err)
	}
	j.Ack(fetched[:10]) // NATS receives them later
	server.Restart()
	until(t, "packets are taken again", func() bool { return j.CheckCapacity(100) == nil })
	put(t, j, 10, 10)
	more := get(t, j, 10)
	if got := ids(more); !slices.Equal(got, upTo(20)[10:]) {
		t.Errorf("got %v", got)
	}
	j.Ack(more)
	until(t, "the stream is empty", func() bool { return stored(t, j) == 0 })
}

// A server that hangs is detected, and waiting requests end.
func TestHangingServer(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	j := open(t, testConfig(server.URL(), server.Monitor()))
	put(t, j, 0, 1)
	j.mu.Lock()
	j.publishTimeout = 2 * time.Second
	j.mu.Unlock()
	server.Pause()
	var packets journaltest.Packets
	failed := make(chan error, 1)
	go func() {
		_, err := j.Append([]*packet.Packet{packets.Make(t, "emitter", "1", 300)})
		failed <- err
	}()
	until(t, "the stream is taken out", func() bool { return errors.Is(j.CheckCapacity(100), journal.ErrUnwritable) })
	if err := <-failed; !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("the request that waited: %v", err)
	}
	server.Resume()
	until(t, "packets are taken again", func() bool { return j.CheckCapacity(100) == nil })
	j.mu.Lock()
	j.publishTimeout = time.Minute
	j.mu.Unlock()
	put(t, j, 2, 1)
}

// The durability that Survives reports depends on the servers' sync_interval.
func TestSurvives(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for interval, want := range map[string]string{"always": "and a power failure of it", "2m": "not a power failure of it"} {
		server := natstest.Start(t, natstest.Options{SyncInterval: interval})
		c := testConfig(server.URL(), server.Monitor())
		j, err := Open(ctx, c, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Survives(); !strings.Contains(got, want) {
			t.Errorf("sync_interval %s: %q lacks %q", interval, got, want)
		}
		j.Close()
		c.Replicas = 3 // which the existing streams do not have
		if report, err := Check(ctx, c); err != nil || !strings.Contains(report.Survives, want) {
			t.Errorf("streams of one replica: %q, %v", report.Survives, err)
		}
	}
	j := &Journal{config: Config{Replicas: 3}}
	j.durability.sync = syncInterval
	if got := j.Survives(); got != "loss of a minority, not a power failure of all" {
		t.Errorf("three replicas: %q", got)
	}
}
