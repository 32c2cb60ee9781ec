// Package binary builds the logstreamer binary for tests with processes.
package binary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const packagePath = "github.com/logstreamer/logstreamer/cmd/logstreamer"

// Build builds the binary in a directory, with flags of go build, and returns its path.
func Build(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "logstreamer")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	command := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), packagePath)...)
	command.Env = append(os.Environ(), "GOWORK=") // also for modules that are not in the workspace
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", command.Args, err, output)
	}
	return path, nil
}

// New builds the binary for one test, and returns its path.
func New(t testing.TB) string {
	t.Helper()
	path, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main runs the tests of a package with the binary at *path, and returns the exit code.
func Main(m *testing.M, path *string, flags ...string) int {
	dir, err := os.MkdirTemp("", "logstreamer-test-")
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // what remains is in a temporary directory
		*path, err = Build(dir, flags...)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
