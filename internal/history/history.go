// Package history keeps what operators saw in the last quarter of an hour: one snapshot a
// second, made by one goroutine and encoded once for all viewers. Recent values are in
// columns of float32 (History.Columns); viewers follow by History.Subscribe.
//
// The package has no names: a Snapshot brings those of its numbers, and a number that
// did not exist before begins a column.
package history

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/ring"
)

// Bounds of a History.
const (
	// Interval is the time between two snapshots.
	Interval = time.Second
	// Length is the number of snapshots that are kept.
	Length = 900
	// MaxAnalyzers is the number of analyzers with columns: the first ones of each snapshot.
	MaxAnalyzers = 50
	// MaxViewers is the maximum number of subscriptions.
	MaxViewers = 32

	maxColumns = 64 // of the whole, and of an analyzer
	// Bounds of the snapshots that can be sent again; a viewer that missed more gets the columns.
	maxEncoded      = 120
	maxEncodedBytes = 1 << 20
)

// Number is a named number of a snapshot; NaN is unknown.
type Number struct {
	Name  string
	Value float64
}

// Text is a named text of a snapshot, which has no column.
type Text struct{ Name, Value string }

// Group is the numbers and texts of the whole, or of one analyzer.
type Group struct {
	Numbers []Number
	Texts   []Text
}

// Analyzer is the group of one analyzer.
type Analyzer struct {
	ID string
	Group
}

// Snapshot is what is known at a time. Its analyzers are in order of importance.
type Snapshot struct {
	Time time.Time
	Group
	Analyzers []Analyzer
}

// History keeps snapshots. It may be used concurrently, except Run.
type History struct {
	sample func(now time.Time) Snapshot
	boot   string // differs after each start of the process

	mu        sync.Mutex    // guards the fields below
	seq       int64         // of the last snapshot, from 1
	times     [Length]int64 // milliseconds since 1970
	whole     columns
	analyzers map[string]*columns // at most MaxAnalyzers
	encoded   ring.Queue[Event]   // the last snapshots
	bytes     int                 // of encoded
	page      []byte              // of Columns, at pageSeq
	pageSeq   int64
	viewers   map[*Subscription]struct{}
	closed    bool
}

// New returns an empty history of what sample returns. sample is called by Run's goroutine
// only.
func New(sample func(now time.Time) Snapshot) *History {
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // never fails
	return &History{
		sample: sample, boot: hex.EncodeToString(boot[:]),
		analyzers: make(map[string]*columns), viewers: make(map[*Subscription]struct{}),
	}
}

// Boot returns what differs after each start of the process.
func (h *History) Boot() string { return h.boot }

// Run adds a snapshot each Interval until the context ends, and then ends all
// subscriptions.
func (h *History) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	defer h.close()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			h.add(h.sample(now))
		}
	}
}

func (h *History) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for viewer := range h.viewers {
		h.removeLocked(viewer)
	}
}

// add stores a snapshot and sends it to the viewers.
func (h *History) add(s Snapshot) {
	s.Analyzers = s.Analyzers[:min(len(s.Analyzers), MaxAnalyzers)]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	h.storeLocked(s)
	e := Event{seq: h.seq, boot: h.boot, Data: s.encode(h.boot, h.seq)}
	h.encoded.Push(e)
	h.bytes += len(e.Data)
	for h.encoded.Len() > maxEncoded || h.bytes > maxEncodedBytes && h.encoded.Len() > 1 {
		h.bytes -= len(h.encoded.Pop().Data)
	}
	for viewer := range h.viewers {
		h.sendLocked(viewer, e)
	}
}
