package distributor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/disk"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/journal/memory"
)

func (d *Distributor) openJournal(config Config) (journal.Journal, error) {
	logger := d.logger.With("component", "journal")
	if err := d.lockData(config); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	switch config.Journal {
	case JournalMemory:
		return memory.New(config.Memory), nil
	case JournalJetStream:
		opened, err := jetstream.Open(context.Background(), config.jetStream(), jetstream.Dependencies{
			Logger: logger, Registerer: d.registry, Pool: &d.pool, QuarantineDir: filepath.Join(config.DataDir, "quarantine"),
		})
		if err != nil {
			return nil, fmt.Errorf("JOURNAL=jetstream: %w", err)
		}
		return opened, nil
	default:
		opened, err := disk.Open(config.disk(), disk.Dependencies{Logger: logger, Registerer: d.registry, Pool: &d.pool})
		if err != nil {
			return nil, fmt.Errorf("JOURNAL=disk: DATA_DIR %q: %w", config.DataDir, err)
		}
		return opened, nil
	}
}

// lockData locks DATA_DIR for this process, unless the disk journal does. With JOURNAL=memory a
// directory that another distributor uses is logged, and one that cannot be written to is no error.
func (d *Distributor) lockData(config Config) error {
	if config.Journal == JournalDisk {
		return nil
	}
	err := datafile.MakeDir(config.DataDir, 0o750)
	if err == nil {
		d.dataLock, err = datafile.Lock(filepath.Join(config.DataDir, disk.LockFile))
	}
	if err != nil && config.stores() {
		return fmt.Errorf("DATA_DIR %q: %w", config.DataDir, err)
	}
	if locked, ok := errors.AsType[*datafile.LockedError](err); ok {
		d.logger.Warn("another distributor uses DATA_DIR: each overwrites the other's changes at run time; set another DATA_DIR", "data_dir", config.DataDir, "error", locked)
	}
	return nil
}

// Stores reports whether accepted packets are on disk, on this machine or in streams, where they
// can wait for analyzers and for the next start.
func (d *Distributor) Stores() bool { return d.stores }

// JournalStatus describes the journal of the accepted packets, and the faults that it survives.
type JournalStatus struct {
	Kind     string
	Survives string
	// Shared means that other distributors may deliver the packets that this one accepts.
	Shared bool
	// Limit is the setting that the journal is nearest to.
	Limit string
}

// JournalStatus returns the status of the journal. It may be called concurrently.
func (d *Distributor) JournalStatus() JournalStatus {
	s := JournalStatus{Kind: d.Config().Journal, Survives: "loss of analyzers, not a crash of this process", Limit: d.journal.Limit()}
	switch j := d.journal.(type) {
	case *disk.Journal:
		s.Survives = "a crash and a power failure, not the loss of the disk"
	case journal.Shared:
		s.Survives, s.Shared = j.Survives(), true
	}
	return s
}

// Stored returns the volume that a shared journal holds for all distributors; ok is false for any
// other journal. It may be called concurrently.
func (d *Distributor) Stored() (stored journal.Stored, ok bool) {
	shared, ok := d.journal.(journal.Shared)
	if !ok {
		return journal.Stored{}, false
	}
	return shared.Stored(), true
}

// releaseShared returns the packets that a shared journal holds for the router, so that the other
// distributors deliver them.
func (d *Distributor) releaseShared() {
	if shared, ok := d.journal.(journal.Shared); ok {
		shared.Release()
	}
}
