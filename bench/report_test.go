//go:build linux

package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReportsAreGolden(t *testing.T) {
	for file, write := range map[string]func(io.Writer, Report) error{
		"report.txt": writeText, "report.md": writeMarkdown, "report.svg": writeChart, "report.json": writeJSON,
	} {
		var got bytes.Buffer
		if err := write(&got, sampleReport()); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, file, got.Bytes())
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update when that is right); got:\n%s", path, got)
	}
}

// sampleReport has an example of everything a report can hold.
func sampleReport() Report {
	one := CaseReport{
		Name: "single", Title: "Packets of 5 messages <single>", measure: perPacket, base: haproxyName,
		Results: []Result{{Series: []Series{
			costs(oursName, 5, 6, 9), costs(haproxyName, 10, 12, 10), {Subject: nginxName, Skipped: "nginx is not installed"},
		}}},
	}
	one.Verdicts = []Verdict{ratioOf(perPacket, oursName, haproxyName, maxBound(0.65))(one.Results)}
	steps := CaseReport{
		Name: "analyzers", Title: "More analyzers", measure: perMessage, base: haproxyName,
		Results: []Result{
			{Step: "3 analyzers", Series: []Series{costs(oursName, 5, 6, 9), costs(haproxyName, 10, 12, 10)}},
			{Step: "30 analyzers", Series: []Series{
				{Subject: oursName, Fault: "LOST: 1 of 9 accepted packets did not arrive within 10s", Samples: []Sample{cost(1)}},
				costs(haproxyName, 10, 12, 10),
			}},
		},
	}
	steps.Verdicts = []Verdict{flat(perMessage, oursName, flatness)(steps.Results)}
	return Report{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 3, RoundSeconds: 1.5,
		Machine: Machine{Processor: "Some Processor", Cores: 2, Kernel: "6.1", Versions: map[string]string{"go": "go1.26", "haproxy": "2.6"}},
		Cases:   []CaseReport{one, steps},
	}
}

func TestOtherShareIsOfBothCores(t *testing.T) {
	quiet, loud := cost(1), cost(1)
	loud.OtherSeconds = 1
	r := Report{Cases: []CaseReport{{Results: []Result{{Series: []Series{{Samples: []Sample{quiet, quiet, loud}}}}}}}}
	if median, worst := r.otherShare(); median != 0 || worst != 50 {
		t.Errorf("disturbance is %g %% and %g %%, want 0 and 50", median, worst)
	}
}

func TestLossHidesFigures(t *testing.T) {
	var text, chart bytes.Buffer
	if err := writeMarkdown(&text, sampleReport()); err != nil {
		t.Fatal(err)
	}
	if err := writeChart(&chart, sampleReport()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, "LOST") && strings.Contains(line, "1.00") {
			t.Errorf("a figure of a run with a loss is shown: %s", line)
		}
	}
	if strings.Contains(chart.String(), oursName+", 30 analyzers") {
		t.Error("a run with a loss is drawn")
	}
	if len(sampleReport().faults()) != 1 {
		t.Error("the loss is not reported as a fault")
	}
}

func TestDocumentIsReplacedBetweenItsMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	page := "# Title\n\n" + measuredBegin + "\nold\n" + measuredEnd + "\n\nfindings\n"
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := writeDocument(path, sampleReport()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	if !strings.HasPrefix(text, "# Title\n\n"+measuredBegin) || !strings.HasSuffix(text, measuredEnd+"\n\nfindings\n") ||
		strings.Contains(text, "old") || strings.Count(text, "Some Processor") != 1 {
		t.Errorf("the page became:\n%s", text)
	}
}

func TestDocumentWithoutMarksIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDocument(path, sampleReport()); err == nil {
		t.Error("no error")
	}
	if got, _ := os.ReadFile(path); string(got) != "mine" {
		t.Errorf("the page became %q", got)
	}
}
