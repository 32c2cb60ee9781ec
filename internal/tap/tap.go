// Package tap shows operators packets while they pass through the distributor. A tap is a
// stream of sampled, filtered and bounded events. While none is open, Hub.Active costs one
// atomic load for each batch of packets; a slow reader loses events, which are counted, and
// delays no packet.
package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// Bounds of taps.
const (
	// MaxTaps is the maximum number of open taps.
	MaxTaps = 4
	// EventsPerSecond is the maximum rate of a tap's events; it is also the burst.
	EventsPerSecond = 100
	// MaxDuration is the time after which a tap ends.
	MaxDuration = 10 * time.Minute
	// MaxBodyBytes is the length to which bodies are cut.
	MaxBodyBytes = 64 << 10

	maxQueued      = 256     // events that wait for the reader
	maxQueuedBytes = 2 << 20 // of their bodies
	maxDetailBytes = 1 << 10
)

// Stage is a step on the way of a packet.
type Stage string

// The stages.
const (
	// Accepted: the journal has taken the packet.
	Accepted Stage = "accepted"
	// Routed: the packet was bound to an analyzer.
	Routed Stage = "routed"
	// Delivered: an analyzer accepted the packet.
	Delivered Stage = "delivered"
	// DeadLettered: an analyzer rejected the packet, and its dead letter is stored.
	DeadLettered Stage = "dead_lettered"
	// Refused: the packet was not accepted. Only refusals of which the emitter could be
	// read are shown.
	Refused Stage = "refused"
)

// Stages returns all stages in the order of a packet's way.
func Stages() []Stage { return []Stage{Accepted, Routed, Delivered, DeadLettered, Refused} }

// Options select the events of a tap. Empty members select all.
type Options struct {
	// Sample is the probability with which a packet is shown, above 0 and at most 1;
	// 0 means 1.
	Sample float64
	// Emitter is an emitter's id, or a prefix followed by *.
	Emitter string
	// Analyzer is an analyzer's id. It excludes the stages Accepted and Refused.
	Analyzer string
	// Level is the lowest level shown; a packet's level is the highest of its messages.
	// It excludes refused packets whose level is unknown.
	Level packet.Level
	Stage Stage
	// Bodies includes bodies, up to MaxBodyBytes of each.
	Bodies bool
}

// OptionError reports an option with a value that is not allowed.
type OptionError struct {
	Key     string
	Value   any
	Allowed string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s is %v: it must be %s", e.Key, e.Value, e.Allowed)
}

// Validate returns an *OptionError if an option has a value that is not allowed.
func (o Options) Validate() error {
	switch {
	case !(o.Sample >= 0 && o.Sample <= 1):
		return &OptionError{"sample", o.Sample, "a number above 0 and at most 1"}
	case len(o.Emitter) > packet.MaxIDBytes+1:
		return &OptionError{"emitter", o.Emitter, fmt.Sprintf("at most %d bytes", packet.MaxIDBytes+1)}
	case o.Stage != "" && !slices.Contains(Stages(), o.Stage):
		return &OptionError{"stage", o.Stage, fmt.Sprintf("one of %v", Stages())}
	}
	return nil
}

// Event is a packet at a stage.
type Event struct {
	Time      time.Time
	Stage     Stage
	EmitterID string
	PacketID  string
	Analyzer  string
	// Messages and Level are 0 and empty if they are unknown.
	Messages int
	Level    string
	Bytes    int
	// Reason and Detail are why the packet was refused, or rejected by the analyzer.
	Reason string
	Detail string
	// Body is the beginning of the packet's body, if Options.Bodies is set.
	Body string
	// Dropped counts the events of this tap that matched and were dropped before this
	// one: over EventsPerSecond, or while the reader was slow.
	Dropped int64
}

// ErrTooManyTaps is returned while MaxTaps taps are open.
var ErrTooManyTaps = fmt.Errorf("%d taps are open, which is the maximum: close one", MaxTaps)

// ErrClosed is returned after Hub.Close.
var ErrClosed = errors.New("the distributor stops")

// Hub passes events to the open taps. The zero value is ready; it may be used
// concurrently.
type Hub struct {
	taps atomic.Pointer[[]*Tap] // nil: none is open

	mu     sync.Mutex // guards changes of taps, and closed
	closed bool
}

// Active reports whether a tap is open. Callers check it before they prepare a Source.
func (h *Hub) Active() bool { return h.taps.Load() != nil }

// Open opens a tap. The error is an *OptionError, ErrTooManyTaps or ErrClosed.
func (h *Hub) Open(options Options) (*Tap, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrClosed
	case h.countLocked() == MaxTaps:
		return nil, ErrTooManyTaps
	}
	return h.openLocked(options, EventsPerSecond, EventsPerSecond), nil
}

// sample opens a tap for the next accepted packets, up to a number. It does not count as one of
// MaxTaps. It is nil after Hub.Close.
func (h *Hub) sample(packets int) *Tap {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	return h.openLocked(Options{Stage: Accepted}, float64(packets), 0)
}

// openLocked opens a tap that may show as many events at once as it has tokens. Without refill it
// ends with the last of them.
func (h *Hub) openLocked(options Options, tokens, refill float64) *Tap {
	t := &Tap{hub: h, options: options, tokens: tokens, refill: refill, refilled: time.Now(), ready: worker.NewSignal(), ended: make(chan struct{})}
	t.prefix, t.isPrefix = strings.CutSuffix(options.Emitter, "*")
	h.setLocked(append(slices.Clone(h.open()), t))
	t.timer = time.AfterFunc(MaxDuration, t.Close)
	return t
}

func (h *Hub) open() []*Tap {
	if open := h.taps.Load(); open != nil {
		return *open
	}
	return nil
}

// countLocked returns the number of open taps that are no samples.
func (h *Hub) countLocked() (n int) {
	for _, t := range h.open() {
		if t.refill > 0 {
			n++
		}
	}
	return n
}

func (h *Hub) setLocked(open []*Tap) {
	if len(open) == 0 {
		h.taps.Store(nil)
		return
	}
	h.taps.Store(&open)
}

// Close ends all taps and refuses further ones.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	open := h.open()
	h.mu.Unlock()
	for _, t := range open {
		t.Close()
	}
}

// Tap is a stream of events. One goroutine may call Next; Close may be called concurrently.
type Tap struct {
	hub      *Hub
	options  Options
	refill   float64 // tokens a second; 0: a sample
	prefix   string  // of Options.Emitter
	isPrefix bool
	timer    *time.Timer   // guarded by Hub.mu
	ready    worker.Signal // has a value after an event was queued
	ended    chan struct{}
	endOnce  sync.Once

	mu       sync.Mutex // guards the fields below
	queue    ring.Queue[Event]
	bytes    int // of bodies in queue
	dropped  int64
	tokens   float64
	refilled time.Time
}

// Next waits for the next event. The error is io.EOF after the end of the tap, or that of
// the context.
func (t *Tap) Next(ctx context.Context) (Event, error) {
	for {
		if e, ok := t.take(); ok {
			return e, nil
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		case <-t.ended:
			if e, ok := t.take(); ok {
				return e, nil
			}
			return Event{}, io.EOF
		}
	}
}

func (t *Tap) take() (e Event, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue.Len() == 0 {
		return e, false
	}
	e = t.queue.Pop()
	t.bytes -= len(e.Body)
	return e, true
}

// Dropped returns the number of events that matched and were dropped.
func (t *Tap) Dropped() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

// Close ends the tap. Queued events can still be read.
func (t *Tap) Close() {
	t.endOnce.Do(func() {
		t.hub.mu.Lock()
		t.timer.Stop()
		t.hub.setLocked(slices.DeleteFunc(slices.Clone(t.hub.open()), func(o *Tap) bool { return o == t }))
		t.hub.mu.Unlock()
		close(t.ended)
	})
}
