//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// controlGroups is the directory where control groups are mounted.
const controlGroups = "/sys/fs/cgroup"

// quotaPeriod is short, so that a process that has used up its quota waits for milliseconds.
const quotaPeriod = 10 * time.Millisecond

// controlGroup is the directory of a control group.
type controlGroup string

// newControlGroup creates a control group below root whose processes together may use a quota, in
// cores, and take precedence over other programs until they have used it.
func newControlGroup(root string, quota float64) (controlGroup, error) {
	parent, settings := quotaSettings(root, quota)
	if parent == root {
		if err := controlGroup(root).write("cgroup.subtree_control", "+cpu"); err != nil {
			return "", noQuota(err)
		}
	}
	dir, err := os.MkdirTemp(parent, "logstreamer-bench-")
	if err != nil {
		return "", noQuota(err)
	}
	g := controlGroup(dir)
	for name, value := range settings {
		if err := g.write(name, value); err != nil {
			return "", noQuota(errors.Join(err, g.remove()))
		}
	}
	return g, nil
}

// quotaSettings returns the directory of groups with a quota, and the files that set it: in version 1 of
// control groups, each controller has a directory below root; in version 2, root has the groups.
func quotaSettings(root string, quota float64) (parent string, settings map[string]string) {
	period := fmt.Sprint(quotaPeriod.Microseconds())
	share := fmt.Sprintf("%.0f", quota*float64(quotaPeriod.Microseconds()))
	if _, err := os.Stat(filepath.Join(root, "cpu/cgroup.procs")); err == nil {
		return filepath.Join(root, "cpu"), map[string]string{"cpu.cfs_period_us": period, "cpu.cfs_quota_us": share, "cpu.shares": "102400"}
	}
	return root, map[string]string{"cpu.max": share + " " + period, "cpu.weight": "10000"}
}

// noQuota returns why the kernel limits no process.
func noQuota(err error) error {
	return unavailable{fmt.Sprintf("a quota needs a control group (cgroup) with the controller cpu, as root: %v", err)}
}

// write writes a file of the group, which the kernel has created.
func (g controlGroup) write(name, value string) error {
	file, err := os.OpenFile(filepath.Join(string(g), name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// add moves all threads of a process into the group.
func (g controlGroup) add(pid int) error { return g.write("cgroup.procs", strconv.Itoa(pid)) }

// remove removes the group after its processes have ended; the kernel may take a moment to note
// their end.
func (g controlGroup) remove() error {
	err := os.Remove(string(g))
	for end := time.Now().Add(time.Second); errors.Is(err, syscall.EBUSY) && time.Now().Before(end); err = os.Remove(string(g)) {
		time.Sleep(time.Millisecond)
	}
	return err
}
