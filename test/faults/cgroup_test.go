package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cgroup is a control group that limits memory; versions 1 and 2 name their
// files differently.
type cgroup struct{ dir, limit string }

// describeCgroup returns a cgroup below the one of this process.
func describeCgroup() (cgroup, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return cgroup{}, err
	}
	name := fmt.Sprintf("faults-%d", rand.IntN(1_000_000))
	var unified string
	for line := range strings.Lines(string(text)) {
		_, entry, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(entry, ":")
		switch controllers {
		case "memory":
			return cgroup{filepath.Join("/sys/fs/cgroup/memory", path, name), "memory.limit_in_bytes"}, nil
		case "":
			unified = path
		}
	}
	return cgroup{filepath.Join("/sys/fs/cgroup", unified, name), "memory.max"}, nil
}

// limitTo creates the cgroup with a limit in MiB.
func (c cgroup) limitTo(mebibytes int) error {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, c.limit), []byte(strconv.Itoa(mebibytes<<20)), 0o644)
}

// newCgroup creates a cgroup for the duration of the test.
func newCgroup(t *testing.T, mebibytes int) cgroup {
	t.Helper()
	c, err := describeCgroup()
	if err == nil {
		err = c.limitTo(mebibytes)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		await(t, "the cgroup is empty", func() bool { return os.Remove(c.dir) == nil })
	})
	return c
}

// command returns a command prefix that runs its arguments in the cgroup.
func (c cgroup) command() []string {
	return []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(c.dir, "cgroup.procs")}
}

// noCgroups returns why memory cannot be limited here, or "".
func noCgroups() string {
	c, err := describeCgroup()
	if err == nil {
		err = c.limitTo(64)
		_ = os.Remove(c.dir) // it may not have been made
	}
	if err != nil {
		return fmt.Sprintf("no cgroup that limits memory can be made: %v", err)
	}
	return ""
}
