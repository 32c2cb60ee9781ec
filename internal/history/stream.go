package history

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Event is a message to a viewer.
type Event struct {
	boot string
	seq  int64
	// Data is a snapshot as JSON, the same slice for all viewers. It is nil for a reset:
	// snapshots were missed, or the distributor was restarted, and the viewer is to get
	// Columns before it continues.
	Data []byte
}

// ID returns the id of the event, boot-seq.
func (e Event) ID() string { return e.boot + "-" + strconv.FormatInt(e.seq, 10) }

// Boot returns what differs after each start of the process.
func (e Event) Boot() string { return e.boot }

// IsReset reports whether the viewer is to get Columns before it continues.
func (e Event) IsReset() bool { return e.Data == nil }

// maxUnread is the number of events after which a viewer that does not read is dropped.
const maxUnread = 8

var (
	// ErrTooManyViewers is returned while there are MaxViewers subscriptions.
	ErrTooManyViewers = fmt.Errorf("there are %d viewers, which is the maximum", MaxViewers)
	// ErrSlow ends a subscription whose viewer does not read in time.
	ErrSlow = fmt.Errorf("the viewer has not read %d snapshots", maxUnread)
)

// Subscription is one viewer's stream. One goroutine may call Next; Close may be called
// concurrently.
type Subscription struct {
	history *History
	missed  []Event // to be sent first
	live    chan Event
	ended   chan struct{}
	slow    bool // guarded by History.mu
}

// Subscribe returns a stream of the snapshots after the one with an id; with "" it begins
// with the last one. If snapshots after that id are not kept, or another process had the id, the
// stream begins with a reset. The error is ErrTooManyViewers, or io.EOF after the end of Run.
func (h *History) Subscribe(lastID string) (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, io.EOF
	case len(h.viewers) == MaxViewers:
		return nil, ErrTooManyViewers
	}
	s := &Subscription{history: h, live: make(chan Event, maxUnread), ended: make(chan struct{})}
	if last := h.encoded.Len() - 1; lastID != "" {
		s.missed = h.sinceLocked(lastID)
	} else if last >= 0 {
		s.missed = []Event{h.encoded.At(last)}
	}
	h.viewers[s] = struct{}{}
	return s, nil
}

// sinceLocked returns what a viewer has missed since an event.
func (h *History) sinceLocked(lastID string) []Event {
	boot, text, _ := strings.Cut(lastID, "-")
	last, err := strconv.ParseInt(text, 10, 64)
	kept := int64(h.encoded.Len())
	if boot != h.boot || err != nil || last > h.seq || last < h.seq-kept {
		return []Event{{boot: h.boot, seq: h.seq}}
	}
	var missed []Event
	for at := kept - (h.seq - last); at < kept; at++ {
		missed = append(missed, h.encoded.At(int(at)))
	}
	return missed
}

// sendLocked sends an event to a viewer, or drops one that is slow.
func (h *History) sendLocked(s *Subscription, e Event) {
	select {
	case s.live <- e:
	default:
		s.slow = true
		h.removeLocked(s)
	}
}

func (h *History) removeLocked(s *Subscription) {
	if _, present := h.viewers[s]; present {
		delete(h.viewers, s)
		close(s.ended)
	}
}

// Next waits for the next event. The error is ErrSlow, io.EOF after Close or the end of
// Run, or that of the context.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	if len(s.missed) > 0 {
		e := s.missed[0]
		s.missed = s.missed[1:]
		return e, nil
	}
	select {
	case <-s.ended:
		return Event{}, s.why()
	default:
	}
	select {
	case e := <-s.live:
		return e, nil
	case <-s.ended:
		return Event{}, s.why()
	case <-ctx.Done():
		return Event{}, ctx.Err()
	}
}

func (s *Subscription) why() error {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	if s.slow {
		return ErrSlow
	}
	return io.EOF
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.history.mu.Lock()
	defer s.history.mu.Unlock()
	s.history.removeLocked(s)
}
