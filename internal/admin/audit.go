package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

const (
	auditFile = "audit.ndjson"
	// auditBytes is the size at which the file is rotated, auditFiles how many are kept.
	auditBytes = 16 << 20
	auditFiles = 5
	// refusedRate and refusedBurst bound the records of refused requests of one actor, and of
	// all unknown ones together, so that a flood of them does not displace the others: at most
	// 3 kB each, 26 MB a day. Those beyond are counted in the next record.
	refusedRate  = 0.1 // a second
	refusedBurst = 1000
	// maxRefusedBytes bounds each text of the client in the record of a refused request.
	maxRefusedBytes = 100
)

// record is one line of the audit log: a request that changes something, or would, or that was
// denied.
type record struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor,omitempty"` // empty: unknown
	Role    string    `json:"role,omitempty"`
	By      string    `json:"by,omitempty"`
	Address string    `json:"address"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"` // known parameters only: no token that was put there by mistake
	Status  int       `json:"status"`
	Code    string    `json:"code,omitempty"`
	DryRun  bool      `json:"dry_run,omitempty"`
	IfMatch string    `json:"if_match,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	TTL     string    `json:"ttl,omitempty"`
	// Revision and Changed are those of the answer. Values of secrets are masked.
	Revision int64             `json:"revision,omitempty"`
	Changed  []control.Changed `json:"changed,omitempty"`
	// DeadLetters are those that were read, replayed or deleted.
	DeadLetters *deadLettersRecord `json:"dead_letters,omitempty"`
	// Unrecorded counts refused requests since the last record.
	Unrecorded int64 `json:"unrecorded,omitempty"`
}

// audit is the audit log, in DATA_DIR/audit.ndjson. It may be used concurrently.
//
// A change goes on when its record cannot be written: what frees a full disk may be a change,
// such as the deletion of dead letters. Such records are logged instead.
type audit struct {
	dir      string
	maxBytes int64
	logger   *slog.Logger
	failures prometheus.Counter
	refused  *ratelimit.Limiter
	sync     func(*os.File) error

	mu         sync.Mutex // guards the fields below, and the order of records
	file       *os.File   // nil: it is not open
	size       int64
	failing    bool
	unrecorded int64
}

func newAudit(dir string, logger *slog.Logger, failures prometheus.Counter) *audit {
	return &audit{
		dir: dir, maxBytes: auditBytes, logger: logger, failures: failures, sync: (*os.File).Sync,
		refused: ratelimit.New(ratelimit.Config{Rate: refusedRate, Burst: refusedBurst}),
	}
}

// add writes a record. It returns once the record is on stable storage, or cannot be.
func (a *audit) add(r record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Code != "" {
		if _, ok := a.refused.Take([]byte(r.Actor), nil, 1, r.Time); !ok {
			a.unrecorded++
			return
		}
		r.Method, r.Path, r.Query, r.IfMatch = cut(r.Method, maxRefusedBytes), cut(r.Path, maxRefusedBytes), cut(r.Query, maxRefusedBytes), cut(r.IfMatch, maxRefusedBytes)
		r.DeadLetters = nil // texts of the client
	}
	r.Unrecorded, a.unrecorded = a.unrecorded, 0
	line, err := json.Marshal(r)
	if err == nil {
		err = a.writeLocked(append(line, '\n'))
	}
	if err != nil {
		a.failures.Inc()
		if !a.failing {
			a.logger.Error("the audit log cannot be written: changes go on, their records are logged here", "error", err)
		}
		a.logger.Warn("admin request", "record", string(line))
	} else if a.failing {
		a.logger.Info("the audit log can be written again")
	}
	a.failing = err != nil
}

// cut returns a text of the client with at most so many bytes, and a mark if there was more.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

func (a *audit) writeLocked(line []byte) error {
	if a.file != nil {
		if info, err := a.file.Stat(); err != nil || !datafile.IsAt(info, a.path(0)) {
			a.closeLocked() // an operator moved the file away
		}
	}
	if a.file != nil && a.size+int64(len(line)) > a.maxBytes {
		a.closeLocked()
		if err := a.rotate(); err != nil {
			return err
		}
	}
	if a.file == nil {
		if err := a.openLocked(); err != nil {
			return err
		}
	}
	_, err := a.file.Write(line)
	if err == nil {
		err = a.sync(a.file)
	}
	if err != nil {
		_ = a.file.Truncate(a.size) // a part of a line must not join the next one
		a.closeLocked()             // a file whose sync failed cannot be trusted
		return err
	}
	a.size += int64(len(line))
	return nil
}

func (a *audit) path(i int) string {
	if i == 0 {
		return filepath.Join(a.dir, auditFile)
	}
	return filepath.Join(a.dir, fmt.Sprintf("audit.%d.ndjson", i))
}

// rotate makes room for a new file; the oldest one goes.
func (a *audit) rotate() error {
	for i := auditFiles - 1; i > 0; i-- {
		if err := os.Rename(a.path(i-1), a.path(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (a *audit) openLocked() error {
	if err := datafile.MakeDir(a.dir, 0o750); err != nil {
		return err
	}
	file, err := datafile.Open(a.path(0), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = a.endLine(file, info.Size())
	}
	if err == nil {
		err = datafile.SyncDir(a.dir)
	}
	if err == nil {
		info, err = file.Stat()
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	a.file, a.size = file, info.Size()
	return nil
}

// endLine ends a line of which a crash left a part.
func (a *audit) endLine(file *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	read, err := datafile.Open(a.path(0), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	var last [1]byte
	_, err = read.ReadAt(last[:], size-1)
	err = errors.Join(err, read.Close())
	if err == nil && last[0] != '\n' {
		_, err = file.Write([]byte{'\n'})
	}
	return err
}

func (a *audit) closeLocked() {
	if a.file != nil {
		_ = a.file.Close() // each record was synced
		a.file = nil
	}
}

func (a *audit) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closeLocked()
}
