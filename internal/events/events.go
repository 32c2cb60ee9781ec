// Package events keeps the latest events of a distributor for operators: each change, its actor and
// its result. A Log owns its events, in memory and in a file, and may be used concurrently.
package events

import (
	"context"
	"sync"
	"time"
)

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

// Log is a ring of the latest events. It may be used concurrently.
type Log struct {
	mu     sync.Mutex // guards the fields below
	ring   []Event    // the event with an id is at id modulo the length
	lastID int64
	loaded int64         // id of the latest event of an earlier process
	file   *file         // nil: events are not kept
	added  chan struct{} // closed by the next Add
}

// New returns an empty log of the latest size events.
func New(size int) *Log {
	return &Log{ring: make([]Event, size), added: make(chan struct{})}
}

// Add adds an event, with the next id and the time if it has none, and returns the id. The
// first id is 1.
func (l *Log) Add(e Event) (id int64) {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastID++
	e.ID = l.lastID
	l.ring[e.ID%int64(len(l.ring))] = e
	l.keepLocked()
	close(l.added)
	l.added = make(chan struct{})
	return e.ID
}

// After returns the events with higher ids, the oldest first, at most limit. An id above all ids is
// the id of an earlier process, whose events were not kept; then all events are newer.
func (l *Log) After(id int64, limit int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id > l.lastID {
		id = 0
	}
	first := max(id, 0, l.lastID-int64(len(l.ring))) + 1
	events := []Event{}
	for ; first <= l.lastID && len(events) < limit; first++ {
		if e := l.ring[first%int64(len(l.ring))]; e.ID == first { // a file may lack some ids
			events = append(events, e)
		}
	}
	return events
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
