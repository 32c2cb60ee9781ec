//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program in the middle: the distributor or a peer of it.
type process struct {
	command *exec.Cmd
	output  *tail
	exited  chan struct{} // closed when it has ended; then err is set
	err     error
}

// startProcess starts a program on the given cores. It dies with this process,
// whatever happens.
func startProcess(command *exec.Cmd, cores []int) (*process, error) {
	p := &process{command: command, output: &tail{}, exited: make(chan struct{})}
	command.Stdout, command.Stderr = p.output, p.output
	command.WaitDelay = time.Second // with the rest of its output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := onCores(cores, command.Start); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.exited)
	}()
	return p, nil
}

// stop ends the process: politely, then at once. The loop runs meanwhile, for
// the process may want to be answered.
func (p *process) stop(l *loop) {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = l.run(5*time.Second, func(time.Time) bool { return p.ended() })
	_ = p.command.Process.Kill()
	<-p.exited
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// failure describes an end that nobody asked for.
func (p *process) failure() error {
	return fmt.Errorf("it ended (%v): %s", p.err, p.output)
}

// failureOr prefers the end of the process as the reason of an error.
func (p *process) failureOr(err error) error {
	if p.ended() && !errors.Is(err, errStopped) {
		return p.failure()
	}
	return err
}

// processorTime is what the kernel's scheduler has accounted to all threads of
// a process, dead ones too. It is read through the process's clock, which
// counts nanoseconds where /proc/PID/stat counts hundredths of a second, and
// which is up to date where /proc/PID/task/*/schedstat waits for the next tick
// of a running thread.
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel's linux/posix-timers.h
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &spent); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}

// residentPeak returns the most memory that a process has had resident.
func residentPeak(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResidentPeak(string(content))
}

func parseResidentPeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		return kib << 10, err
	}
	return 0, errors.New("the kernel tells no VmHWM")
}

// tail keeps the end of what a process writes. It may be used concurrently.
type tail struct {
	mu    sync.Mutex
	bytes []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const most = 2000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes = append(t.bytes, b...)
	if extra := len(t.bytes) - most; extra > 0 {
		t.bytes = bytes.Clone(t.bytes[extra:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.bytes))
}
