// Package deadletter stores packets that an analyzer rejected as NDJSON files of a
// directory, for inspection and redelivery:
//
//	{"time":"…","analyzer":"…","reason":"…","detail":"…","packet":{…}}
//
// A second file next to each holds what was done with its entries: replayed (Replayer)
// or deleted (Store.Delete).
//
// Size and number of the files are limited; the oldest file is removed first, and
// counted. A packet that is added again because a sync failed is stored twice.
package deadletter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// Config configures a Store.
type Config struct {
	// Dir is created when the first packet is added.
	Dir string
	// FileBytes is the maximum size of a file with several entries; Files is the
	// maximum number of files.
	FileBytes int64
	Files     int
	// LineBytes is the maximum size of an entry that can be listed and replayed.
	LineBytes int
	// Durable makes entries survive a crash of the machine.
	Durable bool
}

// Dir is the name of the store's directory in a distributor's data directory.
const Dir = "dead-letter"

// DefaultConfig returns limits of 1 GiB in total.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, FileBytes: 64 << 20, Files: 16, LineBytes: 64 << 20}
}

// Entry is a packet with the analyzer that rejected it and its reason.
type Entry struct {
	Packet                   *packet.Packet
	Analyzer, Reason, Detail string
}

// Store is a directory of dead letters. It may be used concurrently.
type Store struct {
	config  Config
	logger  *slog.Logger
	metrics *Metrics
	fsync   func(*os.File) error
	marks   marks
	scans   chan struct{} // a value for each scan

	syncMu sync.Mutex // held during a sync, so that concurrent callers share it

	mu      sync.Mutex // guards the fields below; acquired after syncMu
	file    *file      // nil: none is open
	line    []byte     // reused
	failing bool       // the last entry could not be written
	series  map[cause]*series
}

// New returns a store whose directory need not exist.
func New(config Config, logger *slog.Logger, m *Metrics) *Store {
	s := &Store{
		config: config, logger: logger, metrics: m, fsync: (*os.File).Sync, series: make(map[cause]*series),
		scans: make(chan struct{}, maxScans),
	}
	s.marks.dir = config.Dir
	if config.Durable {
		s.marks.sync = s.syncMarks
	}
	return s
}

// Add writes entries. It reports for each whether its packet may be acknowledged. A
// durable store reports true only after the entry was synced. A store that is not
// durable reports true for all, and loses the entries that it could not write. Each
// failure is counted; the first of a series is logged.
func (s *Store) Add(entries []Entry) (stored []bool) {
	written := make([]*batch, len(entries))
	failures := make([]error, len(entries))
	for i, e := range entries {
		written[i], failures[i] = s.write(e)
	}
	stored = make([]bool, len(entries))
	now := time.Now()
	for i, e := range entries {
		if written[i] != nil {
			failures[i] = s.sync(written[i])
		}
		s.logResult(failures[i], e, now)
		if stored[i] = failures[i] == nil || !s.config.Durable; stored[i] {
			s.metrics.count(e)
		}
	}
	return stored
}

// logResult logs transitions between success and failure of writes.
func (s *Store) logResult(err error, e Entry, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch failed := err != nil; {
	case failed && !s.failing:
		message := "dead letters cannot be written and are lost"
		if s.config.Durable {
			message = "dead letters cannot be written: their packets are retried"
		}
		s.logger.Error(message, append(attributes(e), "error", err)...)
	case !failed && s.failing:
		s.logger.Info("dead letters can be written again")
	}
	if s.failing = err != nil; !s.failing {
		s.logFirstLocked(e, now)
	}
}

// header holds the members before the packet.
type header struct {
	Time     time.Time `json:"time"`
	Analyzer string    `json:"analyzer"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
}

// appendLine appends one line. A raw line break in a packet is white space between
// tokens, so that a space can replace it.
func appendLine(dst []byte, e Entry, now time.Time) []byte {
	object, err := json.Marshal(header{now.UTC(), e.Analyzer, e.Reason, e.Detail})
	if err != nil {
		object = []byte("{}") // impossible: all fields are text
	}
	dst = append(dst, object[:len(object)-1]...)
	dst = append(dst, `,"packet":`...)
	body := len(dst)
	dst = append(dst, bytes.TrimSpace(e.Packet.Body)...)
	for i := body; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, '}', '\n')
}

// Close closes the current file; a later Add opens it again.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detachFileLocked()
}
