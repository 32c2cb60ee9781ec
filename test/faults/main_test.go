// Package faults holds the distributor to its promise under faults: real
// processes, real signals, real disks and networks, and an oracle that compares
// what emitters were told with what analyzers took. Each row of the matrix is
// one fault; docs/faults.md tells what is promised, and how to run them.
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
	backlogMB = flag.Int("backlog", 48, "megabytes that are stored while all analyzers are away")
	table     = flag.String("table", "", "Markdown `file` whose table of results is written anew")
	judge     = flag.Bool("judge", false, "take scenarios' full length, one at a time, and judge their times")
	keep      = flag.Bool("keep", false, "keep the folders of rows that fail, and say where they are")
)

// roleVariable makes this test binary be a recording analyzer instead.
const roleVariable = "FAULTS_ANALYZER"

func TestMain(m *testing.M) {
	if address := os.Getenv(roleVariable); address != "" {
		if err := recordPackets(address, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Rows wait far more than they work. The command line may say otherwise.
	if err := flag.Set("test.parallel", "3"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := measured.write(*table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if err := os.RemoveAll(programs.folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// programs builds what is tested, once each.
var programs builds

type builds struct {
	mu     sync.Mutex // guards all below
	folder string
	paths  map[string]string
}

// program returns the path of the logstreamer binary; a name other than "" and
// flags of go build make a variant of it.
func (b *builds) program(variant string, flags ...string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path, ok := b.paths[variant]; ok {
		return path, nil
	}
	if b.paths == nil {
		folder, err := os.MkdirTemp("", "logstreamer-faults-")
		if err != nil {
			return "", err
		}
		b.folder, b.paths = folder, make(map[string]string)
	}
	path := filepath.Join(b.folder, "logstreamer"+variant)
	arguments := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(arguments, "github.com/logstreamer/logstreamer/cmd/logstreamer")...).CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	b.paths[variant] = path
	return path, nil
}
