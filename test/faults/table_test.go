package faults

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// result is the measured result of a row.
type result struct {
	row
	text    string
	skipped string // why
}

// measured collects the results of this run.
var measured results

// results are the rows that ran and did not fail. Safe for concurrent use.
type results struct {
	mu  sync.Mutex
	all []result // guarded by mu
}

func (r *results) add(one result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

// The marks around a document's table.
const (
	tableBegin = "<!-- The table is generated; do not edit it by hand. -->"
	tableEnd   = "<!-- End of the generated table. -->"
)

// write replaces the table in a document, if one is named.
func (r *results) write(path string) error {
	if path == "" {
		return nil
	}
	rows, err := matrix()
	if err != nil {
		return err
	}
	if missing := len(rows) - len(r.all); missing > 0 {
		return fmt.Errorf("%s is not written: %d rows were not run or failed", path, missing)
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(document), tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the table: a line %q and a line %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, []byte(before+tableBegin+"\n\n"+r.table(rows)+"\n"+tableEnd+after), 0o644)
}

// table formats the results as Markdown, in the order of the rows.
func (r *results) table(order []row) string {
	position := make(map[string]int)
	for i, one := range order {
		position[one.journal+one.name] = i
	}
	slices.SortFunc(r.all, func(a, b result) int {
		return cmp.Compare(position[a.journal+a.name], position[b.journal+b.name])
	})
	var text strings.Builder
	fmt.Fprintf(&text, "Written by `go test ./test/faults -count 1 -judge -kills %d -backlog %d -table ../../docs/faults.md` on %s.\n",
		*kills, *backlogMB, machine())
	for _, journal := range []string{memory, disk} {
		fmt.Fprintf(&text, "\n### `JOURNAL=%s`\n\n| row | fault | promise | measured |\n|---|---|---|---|\n", journal)
		for _, one := range r.all {
			if one.journal == journal {
				fmt.Fprintf(&text, "%s %s |\n", one.line(), cell(one.measured()))
			}
		}
	}
	return text.String()
}

// line is the constant part of a row's line.
func (r row) line() string {
	return fmt.Sprintf("| %s | %s | %s |", cell(r.name), cell(r.fault), cell(r.promise))
}

func (r result) measured() string {
	if r.skipped != "" {
		return "not run: " + r.skipped
	}
	return r.text
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// machine describes where the rows ran.
func machine() string {
	kernel, _ := exec.Command("uname", "-sr").Output() // informational
	return fmt.Sprintf("%d processor cores shared with other work, %s, %s/%s, %s",
		runtime.NumCPU(), bytes.TrimSpace(kernel), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// TestDocument fails when docs/faults.md lacks a row.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := matrix()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(string(document), r.line()) {
			t.Errorf("docs/faults.md lacks this row; write it with -table:\n%s", r.line())
		}
	}
}
