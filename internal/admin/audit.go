package admin

import (
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/datafile"
	"github.com/logstreamer/logstreamer/internal/printable"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

const (
	// auditBytes is the size at which the file is rotated, auditFiles how many are kept.
	auditBytes = 16 << 20
	auditFiles = 5
	// refusedRate and refusedBurst bound the records of refused requests, for each actor and for
	// all unknown actors together, so that a flood of refused requests does not displace other
	// records: at most 3 kB each, 26 MB a day. The next record counts the requests without a
	// record.
	refusedRate  = 0.1 // per second
	refusedBurst = 1000
	// maxRefusedBytes bounds each text of the client in the record of a refused request, and
	// If-Match, of which a served request may ignore any text, in all records.
	maxRefusedBytes = 100
)

// record is one line of the audit log: a request that changes something, that would change
// something, or that was denied.
type record struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor,omitempty"` // empty: the actor is unknown
	Role    string    `json:"role,omitempty"`
	By      string    `json:"by,omitempty"`
	Address string    `json:"address"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Query   string    `json:"query,omitempty"` // known parameters only, so that a token in an unknown parameter is not recorded
	Status  int       `json:"status"`
	Code    string    `json:"code,omitempty"`
	DryRun  bool      `json:"dry_run,omitempty"`
	IfMatch string    `json:"if_match,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	TTL     string    `json:"ttl,omitempty"`
	// Revision and Changed are those of the response. Values of secrets are masked.
	Revision int64              `json:"revision,omitempty"`
	Changed  []adminapi.Changed `json:"changed,omitempty"`
	// DeadLetters are those that were read, replayed or deleted.
	DeadLetters *deadLettersRecord `json:"dead_letters,omitempty"`
	// Unrecorded counts refused requests since the last record.
	Unrecorded int64 `json:"unrecorded,omitempty"`
}

// audit is the audit log, in DATA_DIR/audit.ndjson. It may be used concurrently.
//
// If a record cannot be written, it is logged instead and the change is made: a change, such as the
// deletion of dead letters, may be needed to free a full disk.
type audit struct {
	logger   *slog.Logger
	failures prometheus.Counter
	refused  *ratelimit.Limiter

	mu         sync.Mutex // guards the fields below, and the order of records
	lines      datafile.Lines
	failing    bool
	unrecorded int64
}

func newAudit(dir string, logger *slog.Logger, failures prometheus.Counter) *audit {
	return &audit{
		logger: logger, failures: failures, refused: ratelimit.New(ratelimit.Config{Rate: refusedRate, Burst: refusedBurst}),
		lines: datafile.Lines{Dir: dir, Name: "audit", Extension: ".ndjson", MaxBytes: auditBytes, Files: auditFiles, Sync: (*os.File).Sync},
	}
}

// add writes a record. It returns when the record is on stable storage, or when writing has failed.
func (a *audit) add(r record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Code != "" {
		if _, ok := a.refused.Take([]byte(r.Actor), nil, 1, r.Time); !ok {
			a.unrecorded++
			return
		}
		r.Method, r.Path, r.Query = printable.Shorten(r.Method, maxRefusedBytes), printable.Shorten(r.Path, maxRefusedBytes), printable.Shorten(r.Query, maxRefusedBytes)
		r.DeadLetters = nil // texts of the client
	}
	r.IfMatch = printable.Shorten(r.IfMatch, maxRefusedBytes)
	r.Unrecorded, a.unrecorded = a.unrecorded, 0
	line, err := json.Marshal(r)
	if err == nil {
		err = a.lines.Write(append(line, '\n'))
	}
	if err != nil {
		a.failures.Inc()
		if !a.failing {
			a.logger.Error("the audit log cannot be written: its records are logged here", "error", err)
		}
		a.logger.Warn("admin request", "record", string(line))
	} else if a.failing {
		a.logger.Info("the audit log can be written again")
	}
	a.failing = err != nil
}

func (a *audit) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines.Close()
}
