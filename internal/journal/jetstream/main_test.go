package jetstream

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var streams atomic.Int64

// testConfig returns the configuration of a new stream.
func testConfig(url, monitor string) Config {
	c := DefaultConfig()
	c.Servers, c.Monitor, c.MemoryLimitBytes = natslink.Servers(url), natslink.Servers(monitor), 256<<20
	c.Replicas, c.Partitions, c.MaxBytes = 1, 1, 256<<20
	c.Stream = fmt.Sprintf("TEST-%d", streams.Add(1))
	return c
}

// open opens a journal that the test closes.
func open(t testing.TB, c Config) *Journal {
	t.Helper()
	j, err := Open(t.Context(), c, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}, QuarantineDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestConformance(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	journaltest.RunShared(t, func(t *testing.T, limits journaltest.Limits) journal.Journal {
		c := testConfig(server.URL(), server.Monitor())
		c.MemoryLimitBytes = 4 * limits.Bytes
		return open(t, c)
	})
}
