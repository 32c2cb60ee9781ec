package faults

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is one fault. To add one, write a function that injects it into a system
// under load, and list it among the rows of its kind.
type row struct {
	name, journal string
	// fault and promise are the texts in docs/faults.md. Every row also checks
	// that no accepted packet is lost and that the counters balance.
	fault, promise string
	// env overrides the distributor's settings, which are quickSettings unless
	// documented.
	env        map[string]string
	documented bool
	// analyzers defaults to defaultAnalyzers.
	analyzers []analyzerSpec
	// short rows also run with -short.
	short bool
	// alone rows start the system themselves.
	alone bool
	// needs returns why the row cannot run here, or "".
	needs func() string
	// do injects the fault. When it returns, analyzers must be able to work,
	// and the distributor must run unless the row stops it.
	do func(s *system)
}

// Journals.
const (
	memory = "memory"
	disk   = "disk"
)

// TestMatrix runs the rows written in Go.
func TestMatrix(t *testing.T) { runRows(t, goRows(), true) }

// TestScenarios runs the rows in the directory scenarios.
func TestScenarios(t *testing.T) {
	rows, err := scenarioRows()
	if err != nil {
		t.Fatal(err)
	}
	runRows(t, rows, !*judge)
}

func runRows(t *testing.T, rows []row, together bool) {
	if runtime.GOOS != "linux" {
		t.Skip("the matrix looks into /proc and stops processes as Linux does")
	}
	if _, err := programs.program(""); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		t.Run(r.journal+"/"+r.name, func(t *testing.T) {
			if testing.Short() && !r.short {
				t.Skip("not among the rows of -short")
			}
			if together {
				t.Parallel()
			}
			run(t, r)
		})
	}
}

// goRows returns the rows written in Go.
func goRows() []row {
	var all []row
	for _, rows := range [][]row{runtimeRows(), crashRows(), spaceRows(), damageRows()} {
		all = append(all, rows...)
	}
	return all
}

// matrix returns all rows.
func matrix() ([]row, error) {
	rows, err := scenarioRows()
	return append(rows, goRows()...), err
}

// run runs one row and checks conservation.
func run(t *testing.T, r row) {
	if skipReason := r.skipReason(); skipReason != "" {
		measured.add(result{row: r, skipped: skipReason})
		t.Skip(skipReason)
	}
	s := newSystem(t, r.analyzers)
	if !r.documented {
		s.set(quickSettings)
	}
	s.distributor.flags = []string{"-journal", r.journal}
	if r.journal == memory && diskJournalMissing() != "" {
		s.distributor.flags = nil
	}
	s.set(r.env)
	s.watchShares()
	s.watchTimers()
	started := time.Now()
	if !r.alone {
		s.begin()
	}
	r.do(s)
	s.emitters.halt()
	if s.distributor.running() {
		s.awaitDelivery()
	}
	v := checkConservation(s.emitters.outcomes, s.analyzers)
	s.judge(v)
	text := s.summary(v)
	t.Logf("%s, in %v", text, time.Since(started).Round(100*time.Millisecond))
	if !t.Failed() {
		measured.add(result{row: r, text: text})
	}
	for _, violation := range s.latencyViolations {
		t.Error(violation)
	}
}

// skipReason returns why the row cannot run here, or "".
func (r row) skipReason() string {
	if r.journal == disk && diskJournalMissing() != "" {
		return diskJournalMissing()
	}
	if r.needs != nil {
		return r.needs()
	}
	return ""
}

// judge fails the row when conservation is violated.
func (s *system) judge(v verification) {
	s.t.Helper()
	if bare := s.emitters.records().bareRefusals(); bare != "" {
		s.t.Errorf("refusals lack a code or a Retry-After of at least 1: %s", bare)
	}
	if v.Accepted == 0 {
		s.t.Error("no packet was accepted: the row tests nothing")
	}
	if len(v.Lost) > s.maxLost {
		s.t.Errorf("%d accepted packets are lost, at most %d may be: %.200q", len(v.Lost), s.maxLost, v.Lost)
	}
	if len(v.Invented) > 0 {
		s.t.Errorf("%d packets were delivered that no emitter sent: %.200q", len(v.Invented), v.Invented)
	}
}

// summary describes the result.
func (s *system) summary(v verification) string {
	lost := fmt.Sprintf("%d lost", len(v.Lost))
	if s.maxLost > 0 {
		lost += fmt.Sprintf(" (%d may be)", s.maxLost)
	}
	parts := []string{fmt.Sprintf("%d accepted, %s, %d duplicates", v.Accepted, lost, v.Duplicates)}
	if refusals := s.emitters.records().refusals(); refusals != "" {
		parts = append(parts, "refused "+refusals)
	}
	if v.Unanswered > 0 {
		parts = append(parts, fmt.Sprintf("%d unanswered", v.Unanswered))
	}
	if v.Surplus > 0 {
		parts = append(parts, fmt.Sprintf("%d delivered without having been accepted", v.Surplus))
	}
	parts = append(parts, s.reports...)
	for _, violation := range s.latencyViolations {
		parts = append(parts, "**too slow:** "+violation)
	}
	return strings.Join(parts, "; ")
}

// diskJournalMissing returns the program's rejection of JOURNAL=disk, or "".
var diskJournalMissing = sync.OnceValue(func() string {
	program, err := programs.program("")
	if err != nil {
		return err.Error()
	}
	const refused = 2
	command := exec.Command(program, "distributor", "-journal", "disk", "-h")
	if out, _ := command.CombinedOutput(); command.ProcessState.ExitCode() == refused {
		first, _, _ := strings.Cut(string(out), "\n")
		return "JOURNAL=disk is refused: " + first
	}
	return ""
})
