// Package events keeps the latest events of a distributor for operators: each change, its actor and
// its result. A Log owns its events, in memory and in a file, and may be used concurrently.
package events

import (
	"context"
	"encoding/json"
	"sort"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/ring"
)

// maxBytes bounds the events in memory, as JSON.
const maxBytes = 8 << 20

// Event is one event. Old and New are values that JSON can encode; they must not change.
type Event struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Actor   string    `json:"actor,omitempty"`
	Address string    `json:"address,omitempty"`
	Path    string    `json:"path,omitempty"`
	Old     any       `json:"old,omitempty"`
	New     any       `json:"new,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Result  string    `json:"result,omitempty"`
	// Detail has the data that only events of one kind have, such as the proof of a drain.
	Detail any `json:"detail,omitempty"`
}

// Log has the latest events. It may be used concurrently.
type Log struct {
	maxEvents, maxBytes int

	mu     sync.Mutex // guards the fields below
	events ring.Queue[sized]
	bytes  int // of events
	lastID int64
	loaded int64         // id of the latest event of an earlier process
	file   *file         // nil: events are not kept
	added  chan struct{} // closed by the next Add
}

// sized is an event and its bytes as JSON.
type sized struct {
	Event
	bytes int
}

// New returns an empty log of the latest events, at most maxEvents and 8 MiB.
func New(maxEvents int) *Log {
	return &Log{maxEvents: maxEvents, maxBytes: maxBytes, added: make(chan struct{})}
}

// Add adds an event, with the next id and the time if it has none, and returns the id. The
// first id is 1.
func (l *Log) Add(e Event) (id int64) {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	text, _ := json.Marshal(e) // empty if a value cannot be encoded
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = l.lastID + 1
	l.pushLocked(e, len(text))
	l.keepLocked()
	close(l.added)
	l.added = make(chan struct{})
	return e.ID
}

// pushLocked adds an event as the latest one and drops the oldest ones over the bounds. The
// latest one stays.
func (l *Log) pushLocked(e Event, bytes int) {
	l.lastID = e.ID
	l.events.Push(sized{e, bytes})
	l.bytes += bytes
	for n := l.events.Len(); n > l.maxEvents || l.bytes > l.maxBytes && n > 1; n-- {
		l.bytes -= l.events.Pop().bytes
	}
}

// After returns the events with higher ids, the oldest first, at most limit. An id above all ids is
// the id of an earlier process, whose events were not kept; then all events are newer.
func (l *Log) After(id int64, limit int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id > l.lastID {
		id = 0
	}
	events := []Event{}
	for i := l.afterLocked(id); i < l.events.Len() && len(events) < limit; i++ {
		events = append(events, l.events.At(i).Event)
	}
	return events
}

// afterLocked returns the place of the oldest event with a higher id.
func (l *Log) afterLocked(id int64) int {
	return sort.Search(l.events.Len(), func(i int) bool { return l.events.At(i).ID > id })
}

// Last returns the id of the latest event, 0 before the first.
func (l *Log) Last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastID
}

// Wait returns true when After has events to return, or false when the context ends.
func (l *Log) Wait(ctx context.Context, id int64) bool {
	for {
		l.mu.Lock()
		newer, added := l.lastID > id || l.lastID > 0 && id > l.lastID, l.added
		l.mu.Unlock()
		if newer {
			return true
		}
		select {
		case <-added:
		case <-ctx.Done():
			return false
		}
	}
}
