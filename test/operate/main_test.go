//go:build linux

// Package operate tests changes of a running distributor with real processes: upgrades,
// during which emitters keep their connections and no packet is lost or refused, and changes
// through the admin API, which survive a kill. The quick run takes about a minute; -judge makes
// as many changes, kills and rotations as the contract's judge.
//
//	go test ./test/operate -judge -count 1 -v -timeout 40m
package operate

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var judge = flag.Bool("judge", false, "make as many changes, kills and rotations as the contract's judge")

// times returns how often something is repeated: as often as the judge does, or a few times.
func times(quick, judged int) int {
	if *judge {
		return judged
	}
	return quick
}

// program is the logstreamer binary.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "logstreamer-operate-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program = filepath.Join(folder, "logstreamer")
	out, err := exec.Command("go", "build", "-o", program, "github.com/logstreamer/logstreamer/cmd/logstreamer").CombinedOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, err, string(out))
		return 1
	}
	return m.Run()
}
