package distributor

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
)

func (d *Distributor) openJournal(config Config) (journal.Journal, error) {
	logger := d.logger.With("component", "journal")
	switch config.Journal {
	case JournalMemory:
		return memory.New(config.Memory), nil
	case JournalJetStream:
		opened, err := jetstream.Open(context.Background(), config.jetStream(), jetstream.Deps{
			Logger: logger, Registerer: d.registry, Pool: &d.pool, QuarantineDir: filepath.Join(config.DataDir, "quarantine"),
		})
		if err != nil {
			return nil, fmt.Errorf("JOURNAL=jetstream: %w", err)
		}
		return opened, nil
	default:
		opened, err := disk.Open(config.disk(), disk.Deps{Logger: logger, Registerer: d.registry, Pool: &d.pool})
		if err != nil {
			return nil, fmt.Errorf("JOURNAL=disk: %w", err)
		}
		return opened, nil
	}
}

// Stores reports whether accepted packets are on disk, here or in streams, where they can wait
// for analyzers and for the next start.
func (d *Distributor) Stores() bool { return d.stores }

// JournalStatus says which journal has the accepted packets, and what they survive.
type JournalStatus struct {
	Kind     string `json:"kind"`
	Survives string `json:"survives"`
	// Shared means that other distributors may deliver what this one accepts.
	Shared bool `json:"shared"`
}

// JournalStatus returns the status of the journal. It may be called concurrently.
func (d *Distributor) JournalStatus() JournalStatus {
	s := JournalStatus{Kind: d.Config().Journal, Survives: "loss of analyzers, not a crash of this process"}
	switch j := d.journal.(type) {
	case *disk.Journal:
		s.Survives = "a crash and a power failure, not the loss of the disk"
	case journal.Shared:
		s.Survives, s.Shared = j.Survives(), true
	}
	return s
}

// Stored returns what a shared journal holds, of all distributors; ok is false for any other. It
// may be called concurrently.
func (d *Distributor) Stored() (stored journal.Stored, ok bool) {
	shared, ok := d.journal.(journal.Shared)
	if !ok {
		return journal.Stored{}, false
	}
	return shared.Stored(), true
}

// releaseShared gives back what a shared journal holds for the router: the other distributors
// deliver it.
func (d *Distributor) releaseShared() {
	if shared, ok := d.journal.(journal.Shared); ok {
		shared.Release()
	}
}
