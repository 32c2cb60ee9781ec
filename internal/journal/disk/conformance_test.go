package disk

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, limits journaltest.Limits) journal.Journal {
		j, err := Open(
			Config{Dir: t.TempDir(), MaxBytes: limits.Bytes, MemoryLimitBytes: 4 * limits.Bytes},
			Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}},
		)
		if err != nil {
			t.Fatal(err)
		}
		return j
	})
}
