package simulate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/fairshare"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// Trace is a recorded trace that was read and replayed.
type Trace struct {
	Header   router.TraceHeader
	Arrivals []Arrival
	Replay   Replay
	outages  []outage
}

// outage is when an analyzer stopped or began to be available.
type outage struct {
	at   time.Duration
	id   string
	down bool
}

// Replay is the comparison of a trace's picks with those of a fair-share table that replays the
// trace.
type Replay struct {
	// Picks counts those recorded, Same those of them that the table makes, too.
	Picks, Same int
	// Gaps counts where events are missing, up to Lost in all. The picks that are missing are
	// not compared; after each gap the table begins with the recorded state.
	Gaps int
	Lost uint64
	// First describes the first difference.
	First string
}

// String returns how many picks are as recorded.
func (r Replay) String() string {
	text := fmt.Sprintf("picks as recorded: %d of %d", r.Same, r.Picks)
	if r.Gaps > 0 {
		text += fmt.Sprintf("; incomplete: up to %d events are missing in %d gaps, and the picks among them are not compared", r.Lost, r.Gaps)
	}
	if r.First != "" {
		text += "; the first difference: " + r.First
	}
	return text
}

// Exact reports whether all picks of the recorded time are known and as recorded.
func (r Replay) Exact() bool { return r.Same == r.Picks && r.Gaps == 0 }

// maxLine is the maximum length of a line of a trace: that of a state with all members.
const maxLine = 1 << 20

// ReadTrace reads a trace and replays it.
func ReadTrace(r io.Reader) (*Trace, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	t := new(Trace)
	var p *router.TraceReplay
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var err error
		if p == nil {
			p, err = t.readHeader(lines.Bytes())
		} else {
			p, err = t.readEvent(lines.Bytes(), p)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	if p == nil {
		return nil, errors.New("it is empty: a trace begins with a header")
	}
	t.sort()
	return t, nil
}

func decode(line []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(value)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the line is cut off")
	}
	return err
}

func (t *Trace) readHeader(line []byte) (*router.TraceReplay, error) {
	if err := decode(line, &t.Header); err != nil {
		return nil, fmt.Errorf("the header of a trace is needed: %w", err)
	}
	if t.Header.Version != router.TraceVersion {
		return nil, fmt.Errorf("trace is %q: it must be %q", t.Header.Version, router.TraceVersion)
	}
	for _, a := range t.Header.Analyzers {
		t.available(0, a.ID, a.Out)
	}
	return router.NewTraceReplay(t.Header.TraceState)
}

func (t *Trace) readEvent(line []byte, p *router.TraceReplay) (*router.TraceReplay, error) {
	var e router.TraceEvent
	if err := decode(line, &e); err != nil {
		return p, err
	}
	if e.T > maxSeconds {
		return p, fmt.Errorf("t is %g: it must be at most %g seconds", e.T, maxSeconds)
	}
	at := time.Duration(max(e.T, 0) * float64(time.Second))
	switch e.Kind {
	case router.TracePacket:
		return p, t.readPacket(at, e.Messages)
	case router.TraceReset, router.TraceGap:
		return t.readState(at, e)
	}
	matches, err := p.Apply(e)
	if err != nil {
		return p, err
	}
	switch e.Kind {
	case router.TracePick:
		t.compare(e, matches)
	case router.TraceJoin, router.TraceLeave:
		t.available(at, e.Analyzer, e.Out)
	}
	return p, nil
}

// maxDuration is the maximum time in a trace and in a test.
const (
	maxDuration = 7 * 24 * time.Hour
	maxSeconds  = float64(maxDuration / time.Second)
)

func (t *Trace) readPacket(at time.Duration, messages int) error {
	if messages < 1 || messages > fairshare.MaxMessages {
		return fmt.Errorf("packet: m is %d: it must be from 1 to %d", messages, fairshare.MaxMessages)
	}
	if len(t.Arrivals) == maxArrivals {
		return fmt.Errorf("more than %d packets", maxArrivals)
	}
	t.Arrivals = append(t.Arrivals, Arrival{at, messages})
	return nil
}

// readState returns a replay that begins with the recorded state.
func (t *Trace) readState(at time.Duration, e router.TraceEvent) (*router.TraceReplay, error) {
	if e.State == nil {
		return nil, fmt.Errorf("%s: state is missing", e.Kind)
	}
	if e.Kind == router.TraceGap {
		t.Replay.Gaps++
		t.Replay.Lost += e.Lost
	}
	for _, a := range e.State.Analyzers {
		t.available(at, a.ID, a.Out)
	}
	return router.NewTraceReplay(*e.State)
}

func (t *Trace) compare(e router.TraceEvent, matches bool) {
	t.Replay.Picks++
	switch {
	case matches:
		t.Replay.Same++
	case t.Replay.First == "":
		t.Replay.First = fmt.Sprintf("pick %d, at %g s: the table does not pick %s for %d messages", t.Replay.Picks, e.T, e.Analyzer, e.Messages)
	}
}

// available notes whether an analyzer is available. One that is only full is: whether it is
// in a simulation depends on its pace there.
func (t *Trace) available(at time.Duration, id, out string) {
	if out != upstream.NoRoom.String() {
		t.outages = append(t.outages, outage{at, id, out != ""})
	}
}

// sort sorts the arrivals, which are recorded in the order of routing, by their times.
// Packets that waited when the trace began arrive at its start.
func (t *Trace) sort() {
	for i := range t.Arrivals {
		t.Arrivals[i].At = max(t.Arrivals[i].At, 0)
	}
	slices.SortStableFunc(t.Arrivals, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
}

// Events returns the recorded outages of the analyzers of a configuration as events.
func (t *Trace) Events(c Config) (events []Event) {
	for _, o := range t.outages {
		if !slices.ContainsFunc(c.Analyzers, func(a Analyzer) bool { return a.ID == o.id }) {
			continue
		}
		apply := func(s *Simulation) error { return s.up(o.id) }
		if o.down {
			apply = func(s *Simulation) error { return s.down(o.id) }
		}
		events = append(events, Event{o.at, apply})
	}
	sortEvents(events)
	return events
}
