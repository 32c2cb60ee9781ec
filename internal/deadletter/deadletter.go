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
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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

// DefaultConfig keeps at most a gigabyte.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, FileBytes: 64 << 20, Files: 16}
}

// Letters is the folder of dead letters. It may be used concurrently.
type Letters struct {
	config  Config
	logger  *slog.Logger
	metrics *metrics

	mu      sync.Mutex // guards all below
	file    *os.File
	size    int64
	line    []byte
	failing bool // the last write failed
}

// New returns dead letters of a folder that need not exist.
func New(config Config, logger *slog.Logger, m *Metrics) *Letters {
	return &Letters{config: config, logger: logger, metrics: (*metrics)(m)}
}

// Keep writes a packet down. When that fails the packet is lost but for the
// log line, and counted.
func (l *Letters) Keep(p *packet.Packet, analyzer, reason, detail string) {
	l.metrics.kept(analyzer, reason, p.Messages)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = appendLine(l.line[:0], p, letter{time.Now().UTC(), analyzer, reason, detail})
	if err := l.writeLocked(l.line); err != nil {
		l.metrics.writeErrors.Inc()
		l.logger.Error("dead letter could not be written",
			"error", err, "emitter_id", string(p.EmitterID.AppendDecoded(nil, p.Body)),
			"packet_id", string(p.PacketID.AppendDecoded(nil, p.Body)), "analyzer", analyzer, "reason", reason)
		l.failing = true
		return
	}
	if l.failing {
		l.failing = false
		l.logger.Info("dead letters can be written again")
	}
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
		if err := l.openLocked(); err != nil {
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

func (l *Letters) openLocked() error {
	if err := os.MkdirAll(l.config.Dir, 0o750); err != nil {
		return err
	}
	if err := l.removeOldestLocked(); err != nil {
		return err
	}
	name := fmt.Sprintf("dead-letter-%s.ndjson", time.Now().UTC().Format("20060102T150405.000000000"))
	file, err := os.OpenFile(filepath.Join(l.config.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l.file, l.size = file, 0
	return nil
}

// removeOldestLocked makes room for one more file.
func (l *Letters) removeOldestLocked() error {
	files, err := Files(l.config.Dir)
	if err != nil {
		return err
	}
	for len(files) >= l.config.Files {
		if err := os.Remove(files[0]); err != nil {
			return err
		}
		l.metrics.filesRemoved.Inc()
		l.logger.Warn("the oldest dead letters were removed to make room", "file", files[0])
		files = files[1:]
	}
	return nil
}

// Files lists a folder's files of dead letters, oldest first.
func Files(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "dead-letter-*.ndjson"))
	slices.Sort(files)
	return files, err
}

func (l *Letters) closeLocked() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// Close closes the file; a later Keep begins another.
func (l *Letters) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}
