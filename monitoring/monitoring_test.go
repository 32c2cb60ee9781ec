// Package monitoring_test tests the monitoring and the container set-up without a container engine:
// the files are well-formed, agree with each other, pass the tools that read them, and every
// expression in them works against the running system.
package monitoring_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"
)

const repository = ".."

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// tool returns the path of a program, and skips the test without it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(readFile(t, path), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
