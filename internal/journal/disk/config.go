package disk

import (
	"errors"
	"fmt"

	"github.com/logstreamer/logstreamer/internal/config"
)

// Config holds the location and the limits of a journal.
type Config struct {
	// Dir is the data directory. It contains the segments (journal), unreadable data
	// (quarantine) and the lock file (lock).
	Dir string
	// MaxBytes is the maximum size of the segments. Acknowledgements and rewritten
	// records may exceed it by one segment.
	MaxBytes int64
	// MemoryLimitBytes is the maximum memory of packets; packets above it are on disk
	// only.
	MemoryLimitBytes int64
}

const (
	minMaxBytes         = 1 << 20
	minSegmentBytes     = 64 << 10
	maxSegmentBytes     = 64 << 20
	segmentsPerMaxBytes = 16
)

// Validate returns an error for the first invalid field.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("the data directory must be named")
	case c.MaxBytes < minMaxBytes:
		return fmt.Errorf("the journal's budget is %d bytes and must be at least %d", c.MaxBytes, minMaxBytes)
	case c.MemoryLimitBytes <= 0:
		return fmt.Errorf("the memory limit is %d bytes and must be positive", c.MemoryLimitBytes)
	}
	return nil
}

// segmentBytes returns the size of a segment.
func (c Config) segmentBytes() int64 {
	return min(max(c.MaxBytes/segmentsPerMaxBytes, minSegmentBytes), maxSegmentBytes)
}

// segmentBytesLocked returns the size of the next segment.
func (j *Journal) segmentBytesLocked() int64 {
	if j.segmentBytes > 0 {
		return j.segmentBytes
	}
	return j.config.segmentBytes()
}

func (j *Journal) currentConfig() Config {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.config
}

// CheckConfig returns an error if the journal holds more than the configuration allows.
func (j *Journal) CheckConfig(next Config) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	used, held := j.usedLocked()+j.reserved, j.heldLocked()
	return errors.Join(
		config.CheckHeld("JOURNAL_MAX_BYTES", next.MaxBytes, used, "the journal takes %d bytes", used),
		config.CheckHeld("MEMORY_LIMIT_BYTES", next.MemoryLimitBytes, held, "packets take %d bytes", held),
	)
}

// Configure replaces the limits; the directory does not change. Packets above the new limits stay
// in the journal.
func (j *Journal) Configure(next Config) {
	j.mu.Lock()
	j.config.MaxBytes, j.config.MemoryLimitBytes = next.MaxBytes, next.MemoryLimitBytes
	j.mu.Unlock()
	j.compacting.Wake() // there may be memory for packets on disk
}
