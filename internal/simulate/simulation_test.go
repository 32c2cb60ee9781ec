package simulate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/retrybudget"
	"github.com/logstreamer/logstreamer/internal/router"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// three returns a configuration of three analyzers without paces.
func three() Config {
	return Config{
		Analyzers: []Analyzer{{ID: "a1", Weight: 0.5}, {ID: "a2", Weight: 0.3}, {ID: "a3", Weight: 0.2}},
		Upstream:  upstream.DefaultConfig(), QueuePackets: 10_000,
	}
}

func mixed(rate float64, duration time.Duration) []Arrival {
	return synthetic{Rate: rate, Min: 1, Max: 100, For: duration, Seed: 1}.arrivals()
}

func run(t testing.TB, c Config, policy string, arrivals []Arrival, events ...Event) Result {
	t.Helper()
	s, err := New(c, policy, 1)
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.Run(t.Context(), arrivals, events)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func at(seconds float64, apply func(*Simulation) error) Event {
	return Event{time.Duration(seconds * float64(time.Second)), apply}
}

// The router keeps to the shares within the bound; the others do not.
func TestPolicies(t *testing.T) {
	arrivals := mixed(5000, 2*time.Second)
	fair := run(t, three(), Fair, arrivals)
	for _, a := range fair.Analyzers {
		if a.FurthestOff > fair.Bound || math.Abs(a.Share-a.Target) > 1e-3 {
			t.Errorf("%s: share %v, target %v, off by up to %v, the bound is %v", a.ID, a.Share, a.Target, a.FurthestOff, fair.Bound)
		}
	}
	if fair.Accepted != len(arrivals) || fair.Refused != 0 || fair.Left != 0 || fair.Bound < 50 || fair.Bound > 100 {
		t.Errorf("%+v", fair)
	}
	for _, policy := range Others() {
		other := run(t, three(), policy, arrivals)
		furthest := 0.0
		for _, a := range other.Analyzers {
			furthest = max(furthest, a.FurthestOff)
			if math.Abs(a.Share-a.Target) > 0.05 {
				t.Errorf("%s: %s gets %v, its target is %v", policy, a.ID, a.Share, a.Target)
			}
		}
		if furthest < 2*fair.Bound || other.Accepted != len(arrivals) || other.Left != 0 {
			t.Errorf("%s: off by only %v messages; %+v", policy, furthest, other)
		}
	}
}

func TestRunsAreDeterministic(t *testing.T) {
	for _, policy := range append(Others(), Fair) {
		c := three()
		must(t, c.SetPaces("a1=60000/s,a2=40000/s,a3=3000/s"))
		once := func() Result {
			return run(t, c, policy, mixed(1000, 5*time.Second), at(1, func(s *Simulation) error { return s.down("a1") }), at(2, func(s *Simulation) error { return s.up("a1") }))
		}
		if a, b := once(), once(); !slices.Equal(a.Analyzers, b.Analyzers) || a.LongestQueue != b.LongestQueue {
			t.Errorf("%s: %+v and %+v", policy, a, b)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An analyzer delivers at its pace, and what it cannot take the others get.
func TestPace(t *testing.T) {
	c := three()
	must(t, c.SetPaces("a3=1000/s"))
	r := run(t, c, Fair, mixed(1000, 20*time.Second))
	slow := r.Analyzers[2]
	if slow.Messages > 50_000 || slow.Messages < 15_000 || slow.P99Wait < 100*time.Millisecond || r.Left != 0 {
		t.Errorf("an analyzer of 1000 messages/s got %d in 20 s, wait %v, %d left", slow.Messages, slow.P99Wait, r.Left)
	}
	if fast := r.Analyzers[0]; fast.P99Wait > 200*time.Millisecond {
		t.Errorf("an analyzer without a pace lets packets wait for %v", fast.P99Wait)
	}
}

// Without an available analyzer the memory journal's packets are refused, the disk journal's
// wait.
func TestOutageOfAll(t *testing.T) {
	all := func(change func(*Simulation, string) error) func(*Simulation) error {
		return func(s *Simulation) error {
			return errors.Join(change(s, "a1"), change(s, "a2"), change(s, "a3"))
		}
	}
	events := []Event{at(1, all((*Simulation).down)), at(2, all((*Simulation).up))}
	r := run(t, three(), Fair, mixed(1000, 3*time.Second), events...)
	if r.Refused < 900 || r.Refused > 1100 || r.Left != 0 {
		t.Errorf("memory: refused %d, left %d", r.Refused, r.Left)
	}
	c := three()
	c.Stores = true
	if r := run(t, c, Fair, mixed(1000, 3*time.Second), events...); r.Refused != 0 || r.LongestQueue < 900 || r.Left != 0 || r.P99Wait < 900*time.Millisecond {
		t.Errorf("disk: refused %d, longest queue %d, left %d, wait %v", r.Refused, r.LongestQueue, r.Left, r.P99Wait)
	}
	if r := run(t, c, Fair, mixed(1000, 3*time.Second), events[:1]...); r.Left < 1900 || r.Left > 2100 {
		t.Errorf("none comes back: %d left", r.Left)
	}
	c = three()
	c.QueuePackets = 100
	must(t, c.SetPaces("a1=100/s,a2=100/s,a3=100/s"))
	c.Upstream.QueuePackets = 10
	if r := run(t, c, Fair, mixed(1000, time.Second)); r.Refused < 500 || r.LongestQueue > 100+30+256 {
		t.Errorf("overload: refused %d, longest queue %d", r.Refused, r.LongestQueue)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, err := New(three(), Fair, 1)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx, mixed(1000, time.Hour), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSyntheticArrivals(t *testing.T) {
	arrivals := mixed(1000, 100*time.Second)
	messages := 0
	for i, a := range arrivals {
		messages += a.Messages
		if a.Messages < 1 || a.Messages > 100 || i > 0 && a.At < arrivals[i-1].At {
			t.Fatalf("arrival %d: %+v", i, a)
		}
	}
	if n := float64(len(arrivals)); math.Abs(n-100_000) > 2000 || math.Abs(float64(messages)/n-50.5) > 0.5 {
		t.Errorf("%v packets, %v messages", n, messages)
	}
}

// recorded returns the trace of a simulation of the router with events.
func recorded(t *testing.T, c Config, arrivals []Arrival, events ...Event) (text []byte) {
	t.Helper()
	// The clock of a bubble begins at the epoch of simulations.
	synctest.Test(t, func(t *testing.T) { text = record(t, c, arrivals, events) })
	return text
}

func record(t *testing.T, c Config, arrivals []Arrival, events []Event) []byte {
	t.Helper()
	s, err := New(c, Fair, 1)
	must(t, err)
	r := router.New(router.Dependencies{Journal: &s.journal, RetryBudget: new(retrybudget.Budget), Logger: slog.New(slog.DiscardHandler), Record: true})
	s.dispatcher = r
	must(t, r.Configure(s.settings))
	_, err = s.Run(t.Context(), arrivals, events)
	must(t, err)
	var text bytes.Buffer
	must(t, r.Trace(t.Context(), &text, router.TraceLimit{Past: 1 << 20}))
	return text.Bytes()
}

// turbulent returns events of all kinds.
func turbulent() []Event {
	return []Event{
		at(0.5, func(s *Simulation) error { return s.down("a1") }), at(1, func(s *Simulation) error { return s.setWeight("a2", 0.7) }),
		at(1.5, func(s *Simulation) error { return s.up("a1") }), at(2, func(s *Simulation) error { return s.maintain("a3") }),
		at(2.5, func(s *Simulation) error { return s.setOut("a3", 0) }), at(3, func(s *Simulation) error { return s.setPace("a2", 5000) }),
	}
}

// Every pick of a recorded trace is reproduced, and its packets are simulated.
func TestTraceIsReproduced(t *testing.T) {
	c := three()
	must(t, c.SetPaces("a1=60000/s,a2=40000/s,a3=10000/s"))
	arrivals := mixed(1000, 5*time.Second)
	trace, err := ReadTrace(bytes.NewReader(recorded(t, c, arrivals, turbulent()...)))
	must(t, err)
	if r := trace.Replay; !r.Exact() || r.Picks < len(arrivals) || !strings.HasPrefix(r.String(), "picks as recorded: ") {
		t.Errorf("%v, of %d packets", r, len(arrivals))
	}
	if len(trace.Arrivals) != len(arrivals) {
		t.Errorf("%d packets in the trace, want %d", len(trace.Arrivals), len(arrivals))
	}
	again := run(t, c, Fair, trace.Arrivals, trace.Events(c)...)
	if again.Accepted != len(arrivals) || again.Analyzers[0].Share > 0.4 { // of 0.5, without the outage
		t.Errorf("simulated again: %+v", again)
	}
	if events := trace.Events(Config{}); len(events) != 0 {
		t.Errorf("%d events of analyzers that are not configured", len(events))
	}
}

// A trace with a wrong or missing line is not said to be as recorded.
func TestSpoiltTrace(t *testing.T) {
	text := string(recorded(t, three(), mixed(1000, time.Second)))
	lines := strings.SplitAfter(text, "\n")
	pick := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, `"e":"pick"`) })
	read := func(lines []string) Replay {
		trace, err := ReadTrace(strings.NewReader(strings.Join(lines, "")))
		must(t, err)
		return trace.Replay
	}
	changed := slices.Clone(lines)
	changed[pick] = strings.Replace(changed[pick], `"m":`, `"m":9`, 1)
	if r := read(changed); r.Exact() || !strings.Contains(r.String(), "the first difference: pick ") {
		t.Errorf("with a changed pick: %v", r)
	}
	if r := read(slices.Delete(slices.Clone(lines), pick, pick+1)); r.Exact() {
		t.Errorf("with a missing pick: %v", r)
	}
	header, _ := strings.CutPrefix(lines[0], `{`)
	_, state, _ := strings.Cut(header, `"routing":"adaptive",`)
	gap := append(slices.Clone(lines[:1]), `{"t":0.5,"e":"gap","lost":7,"state":{`+strings.TrimSpace(state)+"}\n")
	if r := read(gap); r.Exact() || r.Gaps != 1 || r.Lost != 7 || !strings.Contains(r.String(), "incomplete: up to 7 events are missing in 1 gaps") {
		t.Errorf("with a gap: %v", r)
	}
}

func TestReadTraceRejects(t *testing.T) {
	header := strings.SplitAfter(string(recorded(t, three(), nil)), "\n")[0]
	for text, want := range map[string]string{
		"":                                      "it is empty",
		"{}":                                    `line 1: trace is "": it must be "logstreamer-trace/1"`,
		"hello":                                 "line 1: the header of a trace is needed",
		header + `{"t":1,"e":"pi`:               "line 2: the line is cut off",
		header + `{"t":1,"e":"pock"}`:           `line 2: unknown event "pock": known are packet, pick`,
		header + "\n" + `{"t":1,"e":"packet"}`:  "line 3: packet: m is 0: it must be from 1 to 262144",
		header + `{"t":1,"e":"pick","x":1}`:     `line 2: json: unknown field "x"`,
		header + `{"t":1e9,"e":"packet","m":1}`: "line 2: t is 1e+09: it must be at most 604800 seconds",
		header + `{"t":1,"e":"gap","lost":1}`:   "line 2: gap: state is missing",
		header + `{"t":1,"e":"join","a":"a9"}`:  `line 2: join: there is no analyzer "a9"`,
		header + strings.Repeat("x", maxLine+1): "line 2: bufio.Scanner: token too long",
	} {
		if _, err := ReadTrace(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want one that contains %q", text, err, want)
		}
	}
}

const tinyTrace = `{"trace":"logstreamer-trace/1","time":"2000-01-01T00:00:00Z","routing":"adaptive","analyzers":[{"id":"a1","index":0,"ramp":1,"room":9},{"id":"a2","index":1,"ramp":1,"room":9,"out":"drain"}],"table":{"weights":[0.5,0.5],"active":[0],"deficits":[0],"reference":[0],"max_packet":0}}
{"t":0.1,"e":"packet","m":40,"em":"h:9f"}
{"t":0.1,"e":"pick","m":40,"a":"a1","cause":"first","room":9}
{"t":0.2,"e":"refund","m":40,"a":"a1"}
{"t":0.2,"e":"join","a":"a2"}
{"t":0.2,"e":"weight","a":"a2","w":0.1,"ramp":0.2}
{"t":0.2,"e":"pick","m":40,"a":"a2","avoid":"a1","cause":"again","room":9}
{"t":0.3,"e":"leave","a":"a1","out":"breaker_open"}
{"t":0.3,"e":"room","a":"a2","room":0}
{"t":0.4,"e":"full","m":7,"a":"a2","cause":"first"}
`

func FuzzReadTrace(f *testing.F) {
	f.Add([]byte(tinyTrace))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = ReadTrace(bytes.NewReader(text)) })
}

func TestWriteTable(t *testing.T) {
	var text strings.Builder
	must(t, WriteTable(&text, []Result{run(t, three(), Fair, mixed(1000, time.Second)), run(t, three(), WRR, mixed(1000, time.Second))}))
	for _, want := range []string{"POLICY  ANALYZER  TARGET  SHARE   FURTHEST OFF  BOUND  LONGEST QUEUE  P99 WAIT  REFUSED  LEFT", "fair    a1        50.0 %  49.9 %", "wrr     all"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
}

// A rate whose first packet comes after any time that can be expressed makes no packets.
func TestTinyRate(t *testing.T) {
	if got := (synthetic{Rate: 1e-12, Min: 1, Max: 1, For: time.Hour, Seed: 1}).arrivals(); len(got) > 0 {
		t.Errorf("%d packets, the first at %v", len(got), got[0].At)
	}
}
