package memory_test

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
)

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, limits journaltest.Limits) journal.Journal {
		return memory.New(memory.Config{QueuePackets: 1_000_000, LimitBytes: limits.Bytes})
	})
}
