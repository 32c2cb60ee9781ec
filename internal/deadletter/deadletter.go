// Package deadletter keeps packets that an analyzer has refused for good, as
// NDJSON in files of a folder, so that a person can see them and send them
// again:
//
//	{"time":"…","analyzer":"…","reason":"…","detail":"…","packet":{…}}
//
// The files are bounded: the oldest goes when there are too many, and is
// counted.
package deadletter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"logstreamer/internal/packet"
)

// Config bounds the files.
type Config struct {
	// Dir is made when the first packet is kept.
	Dir string
	// FileBytes is when a new file is begun; Files is how many are kept.
	FileBytes int64
	Files     int
}

// Folder is where a distributor keeps its dead letters, in its data directory.
const Folder = "dead-letter"

// DefaultConfig keeps at most a gigabyte.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, FileBytes: 64 << 20, Files: 16}
}

// Letters is the folder of dead letters. It may be used concurrently.
type Letters struct {
	config  Config
	logger  *slog.Logger
	metrics *Metrics

	mu      sync.Mutex // guards all below
	file    *os.File
	size    int64
	line    []byte
	failing bool // the last write failed
}

// New returns dead letters of a folder that need not exist.
func New(config Config, logger *slog.Logger, m *Metrics) *Letters {
	return &Letters{config: config, logger: logger, metrics: m}
}

// Keep writes a packet down. When that fails the packet is lost, and counted;
// the first of a row of failures is logged.
func (l *Letters) Keep(p *packet.Packet, analyzer, reason, detail string) {
	l.metrics.kept(analyzer, reason, p.Messages)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = appendLine(l.line[:0], p, letter{time.Now().UTC(), analyzer, reason, detail})
	err := l.writeLocked(l.line)
	if err != nil {
		l.metrics.writeErrors.Inc()
	}
	switch failed := err != nil; {
	case failed && !l.failing:
		l.logger.Error("dead letters cannot be written and are lost",
			"error", err, "emitter_id", string(p.EmitterID.AppendDecoded(nil, p.Body)),
			"packet_id", string(p.PacketID.AppendDecoded(nil, p.Body)), "analyzer", analyzer, "reason", reason)
	case !failed && l.failing:
		l.logger.Info("dead letters can be written again")
	}
	l.failing = err != nil
}

// letter is what is known of a dead letter beside the packet.
type letter struct {
	Time     time.Time `json:"time"`
	Analyzer string    `json:"analyzer"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
}

// appendLine appends one line. A raw line break within a packet is white space
// between its tokens, so that a blank can take its place.
func appendLine(dst []byte, p *packet.Packet, l letter) []byte {
	about, err := json.Marshal(l)
	if err != nil {
		about = []byte("{}") // cannot be: all fields are text
	}
	dst = append(dst, about[:len(about)-1]...)
	dst = append(dst, `,"packet":`...)
	body := len(dst)
	dst = append(dst, bytes.TrimSpace(p.Body)...)
	for i := body; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, '}', '\n')
}

func (l *Letters) writeLocked(line []byte) error {
	if l.file != nil && l.size+int64(len(line)) > l.config.FileBytes {
		l.closeLocked()
	}
	if l.file == nil {
		if err := l.openLocked(int64(len(line))); err != nil {
			return err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	if err != nil {
		// A cut line must not run into the next one.
		_ = l.file.Truncate(l.size - int64(n))
		l.closeLocked()
	}
	return err
}

func (l *Letters) closeLocked() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// Close closes the file; a later Keep opens it again.
func (l *Letters) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}
