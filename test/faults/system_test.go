package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// system is one distributor with its analyzers and emitters, under a row's
// fault.
type system struct {
	t           *testing.T
	distributor *distributor
	analyzers   []*analyzer
	emitters    *emitters
	notes       []string
	delays      []string // times that are not as they must be, with -judge
	// mayLose is how many accepted packets the fault may cost, such as those
	// in a record that was damaged.
	mayLose int
	random  *rand.Rand
}

// usualAnalyzers are those of a row that does not say otherwise. The second
// takes one packet a request, the others many.
var usualAnalyzers = []plan{{Weight: 0.5}, {Weight: 0.3, Single: true}, {Weight: 0.2}}

// connections is how many emitters there are.
const connections = 64

// steadyRate is the load, in packets a second, unless a row says otherwise.
const steadyRate = 1200

// quick are settings under which trouble is noticed, and over, soon.
var quick = map[string]string{
	"HEALTH_CHECK_INTERVAL_SEC": "0.5",
	"HEALTH_CHECK_TIMEOUT_SEC":  "0.5",
	"SENDER_TIMEOUT_MS":         "300",
	"SLOW_START_SEC":            "1",
	"LOG_LEVEL":                 "info",
}

// newSystem makes the parts. Analyzers run; the distributor and the emitters
// do not yet.
func newSystem(t *testing.T, analyzers []plan) *system {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("random choices are made with seed %d", seed)
	program, err := programs.program("")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, random: rand.New(rand.NewPCG(seed, 0))}
	if analyzers == nil {
		analyzers = usualAnalyzers
	}
	for i, p := range analyzers {
		s.analyzers = append(s.analyzers, newAnalyzer(t, fmt.Sprintf("analyzer-%d", i+1), p, "127.0.0.1:0"))
	}
	s.distributor = newDistributor(t, program)
	s.emitters = newEmitters(t, s.distributor.url("/ingest"))
	return s
}

// set adds to the distributor's environment.
func (s *system) set(environment map[string]string) {
	for name, value := range maps.All(environment) {
		s.distributor.env = append(s.distributor.env, name+"="+value)
	}
}

// begin starts the distributor, with every analyzer's present address, and the
// usual load.
func (s *system) begin() {
	s.t.Helper()
	s.start()
	s.emitters.begin(newLoad("matrix", 1, connections, steadyRate))
	s.emitters.awaitMore(s.t, accepted, 100)
}

// start starts the distributor with every analyzer's present address.
func (s *system) start() {
	s.t.Helper()
	var targets []string
	for _, a := range s.analyzers {
		targets = append(targets, fmt.Sprintf("http://%s=%v", a.address, a.Weight))
	}
	s.distributor.env = append(s.distributor.env, "ANALYZERS="+strings.Join(targets, ","))
	s.distributor.start()
	s.distributor.awaitHealthy(len(s.analyzers))
}

// hurry makes all emitters send as fast as they are answered.
func (s *system) hurry() {
	for _, l := range s.emitters.loads {
		l.hurry()
	}
}

// calmDown makes all emitters send at their usual rate.
func (s *system) calmDown() {
	for _, l := range s.emitters.loads {
		l.times(1)
	}
}

// enlarge makes packets' messages so many bytes larger.
func (s *system) enlarge(bytes int) {
	for _, l := range s.emitters.loads {
		l.filler.Store(int64(bytes))
	}
}

// last lets a fault last; the load goes on.
func (s *system) last(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.t.Context().Done():
	}
}

// soon waits for a random time of up to longest: faults must not strike at
// always the same moment.
func (s *system) soon(longest time.Duration) {
	s.last(time.Duration(s.random.Int64N(int64(longest))))
}

// calm fails the row when any emitter has met a refusal or got no answer.
func (s *system) calm(when string) {
	s.t.Helper()
	if troubles := s.emitters.records().troubles(); troubles != "" {
		s.t.Errorf("%s: emitters were troubled: %s", when, troubles)
	}
}

// behaveAll changes what all analyzers do.
func (s *system) behaveAll(b Behaviour) {
	s.t.Helper()
	for _, a := range s.analyzers {
		a.behave(b)
	}
}

// note adds to the measured result.
func (s *system) note(format string, arguments ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, arguments...))
}

// settle waits until everything accepted is delivered, and checks that the
// distributor's books balance, also against the emitters' unless it has been
// started more than once.
func (s *system) settle() {
	s.t.Helper()
	var last books
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the books at the end: %+v", last)
		}
	}()
	await(s.t, "all that was accepted is delivered", func() bool {
		b, err := s.distributor.books()
		if err == nil {
			last = b
		}
		return err == nil && b.Packets == b.Delivered+b.DeadLettered && b.Unaccounted == 0
	})
	if last.DeadLettered > 0 {
		s.t.Errorf("%d packets became dead letters, and no analyzer refused any", last.DeadLettered)
	}
	least := s.emitters.count(accepted)
	most := least + s.emitters.count(unanswered)
	if s.distributor.starts == 1 && (last.Packets < least || last.Packets > most) {
		s.t.Errorf("the distributor counts %d accepted packets, the emitters %d to %d", last.Packets, least, most)
	}
}

// journalFiles returns the paths of the journal's files, in order.
func (s *system) journalFiles() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.distributor.dataDir, "journal", "*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("the journal has no files: %v", err)
	}
	return files
}

// oneLine is a program's output for a sentence.
func oneLine(output []byte) string { return strings.Join(strings.Fields(string(output)), " ") }
