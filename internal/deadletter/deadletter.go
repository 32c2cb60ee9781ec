// Package deadletter keeps packets that an analyzer has refused for good, as
// NDJSON in files of a folder, so that a person can see them and send them
// again:
//
//	{"time":"…","analyzer":"…","reason":"…","detail":"…","packet":{…}}
//
// The files are bounded: the oldest goes when there are too many, and is
// counted. A packet whose letter was written, but not safely, and that is kept
// again later stands there twice.
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

// Config bounds the files.
type Config struct {
	// Dir is made when the first packet is kept.
	Dir string
	// FileBytes is when a new file is begun; Files is how many are kept.
	FileBytes int64
	Files     int
	// Durable has letters survive a crash of the machine.
	Durable bool
}

// Folder is where a distributor keeps its dead letters, in its data directory.
const Folder = "dead-letter"

// DefaultConfig keeps at most a gigabyte.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, FileBytes: 64 << 20, Files: 16}
}

// Letter is a packet that an analyzer refused for good, and why.
type Letter struct {
	Packet                   *packet.Packet
	Analyzer, Reason, Detail string
}

// Letters is the folder of dead letters. It may be used concurrently.
type Letters struct {
	config  Config
	logger  *slog.Logger
	metrics *Metrics
	fsync   func(*os.File) error

	syncing sync.Mutex // is held by who syncs, so that others wait and find it done

	mu      sync.Mutex // guards all below; is taken after syncing
	file    *file      // nil: none is open
	line    []byte
	failing bool // the last letter could not be kept
	told    map[cause]*series
}

// New returns dead letters of a folder that need not exist.
func New(config Config, logger *slog.Logger, m *Metrics) *Letters {
	return &Letters{config: config, logger: logger, metrics: m, fsync: (*os.File).Sync, told: make(map[cause]*series)}
}

// Keep writes letters down and tells which packets may end and which have to be
// tried again. Durable letters survive a crash when it returns, or their packets may
// not end. When letters are not durable, all packets may: one whose letter could not be
// written is lost. Each failure is counted; the first of a row is logged.
func (l *Letters) Keep(letters []Letter) (ended, unwritten []Letter) {
	written := make([]*batch, len(letters))
	failures := make([]error, len(letters))
	for i, letter := range letters {
		written[i], failures[i] = l.write(letter)
	}
	ended = make([]Letter, 0, len(letters))
	now := time.Now()
	for i, letter := range letters {
		if written[i] != nil {
			failures[i] = l.sync(written[i])
		}
		l.note(failures[i], letter, now)
		if failures[i] != nil && l.config.Durable {
			unwritten = append(unwritten, letter)
			continue
		}
		l.metrics.ended(letter)
		ended = append(ended, letter)
	}
	return ended, unwritten
}

// note logs each edge between letters that can be kept and those that cannot.
func (l *Letters) note(err error, letter Letter, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch failed := err != nil; {
	case failed && !l.failing:
		cost := "dead letters cannot be written and are lost"
		if l.config.Durable {
			cost = "dead letters cannot be written: their packets wait and are tried again"
		}
		l.logger.Error(cost, append(describe(letter), "error", err)...)
	case !failed && l.failing:
		l.logger.Info("dead letters can be written again")
	}
	if l.failing = err != nil; !l.failing {
		l.tellLocked(letter, now)
	}
}

// heading is what stands before the packet.
type heading struct {
	Time     time.Time `json:"time"`
	Analyzer string    `json:"analyzer"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
}

// appendLine appends one line. A raw line break within a packet is white space
// between its tokens, so that a blank can take its place.
func appendLine(dst []byte, letter Letter, now time.Time) []byte {
	about, err := json.Marshal(heading{now.UTC(), letter.Analyzer, letter.Reason, letter.Detail})
	if err != nil {
		about = []byte("{}") // cannot be: all fields are text
	}
	dst = append(dst, about[:len(about)-1]...)
	dst = append(dst, `,"packet":`...)
	body := len(dst)
	dst = append(dst, bytes.TrimSpace(letter.Packet.Body)...)
	for i := body; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, '}', '\n')
}

// Close closes the file; a later Keep opens it again.
func (l *Letters) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveFileLocked()
}
