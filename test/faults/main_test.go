// Package faults tests the distributor under faults with real processes,
// signals, disks and networks, and compares what emitters were answered with
// what analyzers took. Each row of the matrix is one fault; docs/faults.md
// lists the promises and how to run them.
package faults

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var (
	kills     = flag.Int("kills", 20, "how often each row that kills the distributor in a loop does so")
	backlogMB = flag.Int("backlog", 48, "megabytes that are stored while all analyzers are down")
	table     = flag.String("table", "", "Markdown `file` whose table of results is written anew")
	judge     = flag.Bool("judge", false, "take scenarios' full length, one at a time, and judge their times")
	keep      = flag.Bool("keep", false, "keep the directories of rows that fail, and say where they are")
)

// roleVariable makes this test binary a recording analyzer.
const roleVariable = "FAULTS_ANALYZER"

func TestMain(m *testing.M) {
	if address := os.Getenv(roleVariable); address != "" {
		if err := recordPackets(address, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Rows mostly wait, so they run in parallel unless the command line says
	// otherwise.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := measured.write(*table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if err := os.RemoveAll(programs.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// programs builds each tested program once.
var programs builds

type builds struct {
	mu    sync.Mutex // guards all below
	dir   string
	paths map[string]string
}

// program returns the path of the logstreamer binary; a variant is built with
// the given flags of go build.
func (b *builds) program(variant string, flags ...string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path, ok := b.paths[variant]; ok {
		return path, nil
	}
	if b.paths == nil {
		dir, err := os.MkdirTemp("", "logstreamer-faults-")
		if err != nil {
			return "", err
		}
		b.dir, b.paths = dir, make(map[string]string)
	}
	path := filepath.Join(b.dir, "logstreamer"+variant)
	arguments := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(arguments, "github.com/logstreamer/logstreamer/cmd/logstreamer")...).CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	b.paths[variant] = path
	return path, nil
}
