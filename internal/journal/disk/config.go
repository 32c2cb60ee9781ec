package disk

import (
	"errors"
	"fmt"
)

// Config is where a journal is and what bounds it.
type Config struct {
	// Dir is the data directory. The segments are in Dir/journal, what could
	// not be read in Dir/quarantine, and Dir/lock keeps other processes off.
	Dir string
	// MaxBytes is the budget on disk. Acknowledgements and moved stragglers
	// may pass it by a segment, which is at most a sixteenth of it.
	MaxBytes int64
	// MemoryLimitBytes is how much memory packets may hold; those that do not
	// fit wait on disk alone.
	MemoryLimitBytes int64
}

const (
	minMaxBytes         = 1 << 20
	minSegmentBytes     = 64 << 10
	maxSegmentBytes     = 64 << 20
	segmentsPerMaxBytes = 16
)

// Validate tells what is wrong with the configuration.
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

// segmentBytes is the size at which a segment ends.
func (c Config) segmentBytes() int64 {
	return min(max(c.MaxBytes/segmentsPerMaxBytes, minSegmentBytes), maxSegmentBytes)
}
