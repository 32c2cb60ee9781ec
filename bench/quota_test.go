//go:build linux

package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestQuotaInBothVersionsOfControlGroups(t *testing.T) {
	root := t.TempDir()
	two := map[string]string{"cpu.max": "2500 10000", "cpu.weight": "10000"}
	if parent, settings := quotaSettings(root, 0.25); parent != root || !maps.Equal(settings, two) {
		t.Errorf("version 2: %v in %s", settings, parent)
	}
	cpu := filepath.Join(root, "cpu")
	if err := errors.Join(os.Mkdir(cpu, 0o700), os.WriteFile(filepath.Join(cpu, "cgroup.procs"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	one := map[string]string{"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2500", "cpu.shares": "102400"}
	if parent, settings := quotaSettings(root, 0.25); parent != cpu || !maps.Equal(settings, one) {
		t.Errorf("version 1: %v in %s", settings, parent)
	}
}

// A directory in which no control groups are mounted stays as it is.
func TestQuotaIsUnavailableWithoutControlGroups(t *testing.T) {
	var missing unavailable
	root := t.TempDir()
	if _, err := newControlGroup(root, 0.25); !errors.As(err, &missing) || !strings.Contains(missing.reason, root) {
		t.Errorf("without control groups: %v", err)
	}
	if files, err := os.ReadDir(root); err != nil || len(files) > 0 {
		t.Errorf("the directory has %v, %v", files, err)
	}
}

// The kernel holds a busy process back once its quota is used up, and the group is removed after the
// process has ended.
func TestQuotaHoldsUntilTheEnd(t *testing.T) {
	c := &runningSubject{subject: subject{quota: 0.1}, process: startShell(t, "while :; do :; done")}
	var missing unavailable
	switch err := c.limit(); {
	case errors.As(err, &missing):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	l := newTestLoop(t)
	throttled := regexp.MustCompile(`(?m)^nr_throttled [1-9]`)
	if err := l.run(30*time.Second, func(time.Time) bool {
		statistics, err := os.ReadFile(filepath.Join(string(c.group), "cpu.stat"))
		return err == nil && throttled.Match(statistics)
	}); err != nil {
		t.Errorf("the kernel did not throttle a busy process: %v", err)
	}
	c.close(l)
	if _, err := os.Stat(string(c.group)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group %s exists after its process has ended: %v", c.group, err)
	}
}

func TestRefusedQuotaLeavesNoGroup(t *testing.T) {
	_, err := newControlGroup(controlGroups, 0)
	if err == nil {
		t.Fatal("the kernel accepted a quota of nothing")
	}
	dir := regexp.MustCompile(`/\S*/logstreamer-bench-\d+`).FindString(err.Error())
	if dir == "" {
		t.Skip(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group %s exists: %v", dir, err)
	}
}

// Two distributors with a quota leave the load's core to the load.
func TestQuotaLeavesTheLoadItsCore(t *testing.T) {
	cores := []int{0, 1}
	for quota, want := range map[float64]bool{0: true, 0.25: false} {
		c := &runningSubject{subject: subject{cores: 1, quota: quota}, twin: &runningSubject{}}
		if c.sharesCores(cores) != want {
			t.Errorf("with quota %g: %v", quota, !want)
		}
	}
}
