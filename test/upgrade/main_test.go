//go:build linux

// Package upgrade tests upgrades of a running distributor with real processes: emitters keep
// their connections, and no packet is lost or refused.
package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program is the logstreamer binary.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "logstreamer-upgrade-")
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
