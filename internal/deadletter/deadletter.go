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
	"errors"
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
	// Durable has letters survive a crash of the machine once they are synced.
	Durable bool
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
	fsync   func(*os.File) error

	syncing sync.Mutex // is held by who syncs, so that others wait and find it done

	mu      sync.Mutex // guards all below; is taken after syncing
	file    *os.File
	size    int64
	named   bool // its name survives a crash
	line    []byte
	written int64 // lines, as far as that matters for syncs
	synced  int64 // of them
	failing bool  // the last write or sync failed
}

// New returns dead letters of a folder that need not exist.
func New(config Config, logger *slog.Logger, m *Metrics) *Letters {
	return &Letters{config: config, logger: logger, metrics: m, fsync: (*os.File).Sync}
}

// Keep writes a packet down. When that fails the packet is lost, and counted;
// the first of a row of failures is logged.
func (l *Letters) Keep(p *packet.Packet, analyzer, reason, detail string) {
	l.metrics.kept(analyzer, reason, p.Messages)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = appendLine(l.line[:0], p, letter{time.Now().UTC(), analyzer, reason, detail})
	l.noteLocked(l.writeLocked(l.line), "emitter_id", string(p.EmitterID.AppendDecoded(nil, p.Body)),
		"packet_id", string(p.PacketID.AppendDecoded(nil, p.Body)), "analyzer", analyzer, "reason", reason)
}

// Sync makes what was kept before survive a crash, if letters are durable. One
// does it for all who wait meanwhile. When it fails that is counted, and logged as
// Keep's failures are.
func (l *Letters) Sync() {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	file, named, written := l.file, l.named, l.written
	if l.synced == written {
		return
	}
	l.mu.Unlock() // others may write meanwhile
	err := l.secure(file, named)
	l.mu.Lock()
	if l.synced >= written {
		return // the file was full meanwhile, and synced when it was closed
	}
	l.synced, l.named = written, named || err == nil
	l.noteLocked(err)
}

// noteLocked counts an error, and logs each edge.
func (l *Letters) noteLocked(err error, about ...any) {
	if err != nil {
		l.metrics.writeErrors.Inc()
	}
	switch failed := err != nil; {
	case failed && !l.failing:
		l.logger.Error("dead letters cannot be written and are lost", append([]any{"error", err}, about...)...)
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
	var before error // of what is there already
	if l.file != nil && l.size+int64(len(line)) > l.config.FileBytes {
		before = l.closeLocked()
	}
	if l.file == nil {
		if err := l.openLocked(int64(len(line))); err != nil {
			return errors.Join(before, err)
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	if l.config.Durable {
		l.written++
	}
	if err != nil {
		// A cut line must not run into the next one.
		_ = l.file.Truncate(l.size - int64(n))
		err = errors.Join(err, l.closeLocked())
	}
	return errors.Join(before, err)
}

func (l *Letters) closeLocked() error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.synced < l.written {
		l.synced = l.written
		err = l.secure(l.file, l.named)
	}
	_ = l.file.Close()
	l.file = nil
	return err
}

// Close closes the file; a later Keep opens it again.
func (l *Letters) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.closeLocked(); err != nil {
		l.noteLocked(err)
	}
}
