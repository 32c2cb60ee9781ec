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

// row is one fault. To add one, write a function that does it to a system that
// is under load, and list it among the rows of its kind.
type row struct {
	name, journal string
	// fault says what happens, promise what must hold, in the words of
	// docs/faults.md. That nothing accepted is lost and that the books balance
	// is promised, and checked, for every row.
	fault, promise string
	// env changes the distributor's settings, from quick ones unless the row is
	// about the documented ones.
	env        map[string]string
	documented bool
	// analyzers are the usual ones if none are told.
	analyzers []plan
	// short rows are run with -short, too.
	short bool
	// alone rows begin the system by themselves, since they change it first.
	alone bool
	// needs tells why the row cannot be run here, or nothing; nil if it can be
	// run everywhere.
	needs func() string
	// do does it. When it returns, analyzers must be able to work, and the
	// distributor be running unless stopping it was the point.
	do func(s *system)
}

// The journals.
const (
	memory = "memory"
	disk   = "disk"
)

// TestMatrix runs every row that is written in Go.
func TestMatrix(t *testing.T) { runRows(t, goRows(), true) }

// TestScenarios runs every row that is told by a file of the folder scenarios.
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

// goRows returns all rows that are written in Go.
func goRows() []row {
	var all []row
	for _, rows := range [][]row{livingRows(), crashRows(), spaceRows(), damageRows()} {
		all = append(all, rows...)
	}
	return all
}

// matrix returns all rows.
func matrix() ([]row, error) {
	rows, err := scenarioRows()
	return append(rows, goRows()...), err
}

// run does one row and asks the oracle.
func run(t *testing.T, r row) {
	if missing := r.missing(); missing != "" {
		measured.add(result{row: r, skipped: missing})
		t.Skip(missing)
	}
	s := newSystem(t, r.analyzers)
	if !r.documented {
		s.set(quick)
	}
	s.distributor.flags = []string{"-journal", r.journal}
	if r.journal == memory && diskJournalMissing() != "" {
		s.distributor.flags = nil
	}
	s.set(r.env)
	started := time.Now()
	if !r.alone {
		s.begin()
	}
	r.do(s)
	s.emitters.halt()
	if s.distributor.running() {
		s.settle()
	}
	v := compare(s.emitters.outcomes, s.analyzers)
	s.judge(v)
	text := s.summary(v)
	t.Logf("%s, in %v", text, time.Since(started).Round(100*time.Millisecond))
	if !t.Failed() {
		measured.add(result{row: r, text: text})
	}
	for _, delay := range s.delays {
		t.Error(delay)
	}
}

// missing tells why the row cannot be run here, or nothing.
func (r row) missing() string {
	if r.journal == disk && diskJournalMissing() != "" {
		return diskJournalMissing()
	}
	if r.needs != nil {
		return r.needs()
	}
	return ""
}

// judge fails the row when the oracle found what must not be.
func (s *system) judge(v verdict) {
	s.t.Helper()
	if v.Accepted == 0 {
		s.t.Error("no packet was accepted: the row proves nothing")
	}
	if len(v.Lost) > s.mayLose {
		s.t.Errorf("%d accepted packets are lost, at most %d may be: %.200q", len(v.Lost), s.mayLose, v.Lost)
	}
	if len(v.Invented) > 0 {
		s.t.Errorf("%d packets were delivered that no emitter sent: %.200q", len(v.Invented), v.Invented)
	}
}

// summary is the measured result in words.
func (s *system) summary(v verdict) string {
	lost := fmt.Sprintf("%d lost", len(v.Lost))
	if s.mayLose > 0 {
		lost += fmt.Sprintf(" (%d may be)", s.mayLose)
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
	parts = append(parts, s.notes...)
	for _, delay := range s.delays {
		parts = append(parts, "**too slow:** "+delay)
	}
	return strings.Join(parts, "; ")
}

// diskJournalMissing returns the program's refusal of JOURNAL=disk, or nothing.
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
