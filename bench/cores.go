//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pinToCores returns the two cores of the bench, after binding all threads of
// this process to the second one. Threads inherit the binding from the thread
// that starts them, so the process re-executes itself from a bound thread.
func pinToCores() ([]int, error) {
	const mark = "BENCH_CORES"
	if before, ok := os.LookupEnv(mark); ok {
		first, second, _ := strings.Cut(before, ",")
		one, errOne := strconv.Atoi(first)
		two, errTwo := strconv.Atoi(second)
		return []int{one, two}, errors.Join(errOne, errTwo, os.Unsetenv(mark))
	}
	cores, err := usableCores()
	if err != nil {
		return nil, err
	}
	if len(cores) < 2 {
		return nil, fmt.Errorf("two cores are needed, one for the load and one for what is measured, but there is %d", len(cores))
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	if err := bind(cores[1:2]); err != nil {
		return nil, err
	}
	environment := append(os.Environ(), fmt.Sprintf("%s=%d,%d", mark, cores[0], cores[1]))
	return nil, fmt.Errorf("start again: %w", syscall.Exec(path, os.Args, environment))
}

// onCores calls f in a thread bound to the cores; processes started by f
// inherit the binding.
func onCores(cores []int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := bind(cores); err != nil {
		return err
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &before))
}

// bind binds the calling thread.
func bind(cores []int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to cores %v: %w", cores, err)
	}
	return nil
}

// usableCores returns the cores that this process may run on.
func usableCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var cores []int
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// raiseFileLimit raises the limit of open files to the hard limit, for this
// process and its children.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// busyTime returns how long the cores were busy, including time stolen by the
// hypervisor, in hundredths of a second.
func busyTime(cores []int) (time.Duration, error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusyTime(string(content), cores)
}

func parseBusyTime(stat string, cores []int) (time.Duration, error) {
	const clockTick = 10 * time.Millisecond
	var busy time.Duration
	for _, core := range cores {
		_, line, found := strings.Cut(stat, fmt.Sprintf("\ncpu%d ", core))
		line, _, _ = strings.Cut(line, "\n")
		fields := strings.Fields(line)
		if !found || len(fields) < 8 {
			return 0, fmt.Errorf("/proc/stat has no core %d", core)
		}
		// user, nice, system, (idle, iowait,) irq, softirq, steal
		for _, i := range []int{0, 1, 2, 5, 6, 7} {
			ticks, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat, core %d: %w", core, err)
			}
			busy += time.Duration(ticks) * clockTick
		}
	}
	return busy, nil
}
