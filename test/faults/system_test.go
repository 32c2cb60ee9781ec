package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/ports"
)

// system is a distributor with its analyzers and emitters.
type system struct {
	t                 *testing.T
	distributor       *distributor
	analyzers         []*analyzer
	emitters          *emitters
	timers            timers
	reports           []string
	latencyViolations []string // violated time assertions that are judged
	// maxLost is how many accepted packets the fault may lose, such as those in
	// a damaged record.
	maxLost int
	random  *rand.Rand
}

// defaultAnalyzers are the default. The second takes one packet per request, the
// others NDJSON.
var defaultAnalyzers = []analyzerSpec{{Weight: 0.5}, {Weight: 0.3, Single: true}, {Weight: 0.2}}

// connections is the number of emitters.
const connections = 64

// steadyRate is the default load in packets per second.
const steadyRate = 1200

// quickSettings shorten the detection of failures and the recovery.
var quickSettings = map[string]string{
	"HEALTH_CHECK_INTERVAL_SEC": "0.5",
	"HEALTH_CHECK_TIMEOUT_SEC":  "0.5",
	"SENDER_TIMEOUT_MS":         "300",
	"SLOW_START_SEC":            "1",
	"LOG_LEVEL":                 "info",
}

// newSystem creates the parts. Analyzers run; the distributor and the emitters
// do not yet.
func newSystem(t *testing.T, analyzers []analyzerSpec) *system {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("random choices are made with seed %d", seed)
	program, err := programs.program("")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, random: rand.New(rand.NewPCG(seed, 0))}
	if analyzers == nil {
		analyzers = defaultAnalyzers
	}
	// Ports that no other process gets while an analyzer is killed, and would take its packets.
	free, err := ports.Free(len(analyzers))
	if err != nil {
		t.Fatal(err)
	}
	for i, spec := range analyzers {
		s.analyzers = append(s.analyzers, newAnalyzer(t, fmt.Sprintf("analyzer-%d", i+1), spec, fmt.Sprintf("127.0.0.1:%d", free[i])))
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

// begin starts the distributor and the default load.
func (s *system) begin() {
	s.t.Helper()
	s.start()
	s.emitters.begin(newLoad("matrix", 1, connections, steadyRate))
	s.emitters.awaitMore(s.t, accepted, 100)
}

// start starts the distributor with the analyzers' current addresses.
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

// closedLoop makes all emitters send as soon as they have a response.
func (s *system) closedLoop() {
	for _, l := range s.emitters.loads {
		l.closedLoop()
	}
}

// resetRates makes all emitters send at their default rate.
func (s *system) resetRates() {
	for _, l := range s.emitters.loads {
		l.scale(1)
	}
}

// enlarge adds bytes to each message.
func (s *system) enlarge(bytes int) {
	for _, l := range s.emitters.loads {
		l.filler.Store(int64(bytes))
	}
}

// wait waits while the load continues.
func (s *system) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.t.Context().Done():
	}
}

// waitRandom waits for a random time of up to limit, so that faults occur at
// varying moments.
func (s *system) waitRandom(limit time.Duration) {
	s.wait(time.Duration(s.random.Int64N(int64(limit))))
}

// assertUnaffected fails the row when a packet was refused or unanswered.
func (s *system) assertUnaffected(when string) {
	s.t.Helper()
	if failures := s.emitters.records().failures(); failures != "" {
		s.t.Errorf("%s: emitters were affected: %s", when, failures)
	}
}

// setAllBehaviours sets the behaviour of all analyzers.
func (s *system) setAllBehaviours(b analyzertest.Behaviour) {
	s.t.Helper()
	for _, a := range s.analyzers {
		a.behave(b)
	}
}

// report adds to the measured result.
func (s *system) report(format string, arguments ...any) {
	s.reports = append(s.reports, fmt.Sprintf(format, arguments...))
}

// awaitDelivery waits until everything accepted is delivered, and checks that
// the distributor's counters balance, also against the emitters' unless it was
// started more than once.
func (s *system) awaitDelivery() {
	s.t.Helper()
	var last totals
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the totals at the end: %+v", last)
		}
	}()
	await(s.t, "all that was accepted is delivered", func() bool {
		b, err := s.distributor.totals()
		if err == nil {
			last = b
		}
		return err == nil && b.Packets == b.Delivered+b.DeadLettered && b.Unaccounted == 0
	})
	if last.DeadLettered > 0 {
		s.t.Errorf("%d packets became dead letters, and no analyzer refused any", last.DeadLettered)
	}
	lower := s.emitters.count(accepted)
	upper := lower + s.emitters.count(unanswered)
	if s.distributor.starts == 1 && (last.Packets < lower || last.Packets > upper) {
		s.t.Errorf("the distributor counts %d accepted packets, the emitters %d to %d", last.Packets, lower, upper)
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

// oneLine joins a program's output to one line.
func oneLine(output []byte) string { return strings.Join(strings.Fields(string(output)), " ") }
