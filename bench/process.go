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

// process is a program under test.
type process struct {
	command *exec.Cmd
	output  *tail
	exited  chan struct{} // closed when the process has ended; then err is set
	err     error
}

// startProcess starts a program on the given cores. The kernel kills it when
// this process ends.
func startProcess(command *exec.Cmd, cores []int) (*process, error) {
	p := &process{command: command, output: &tail{}, exited: make(chan struct{})}
	command.Stdout, command.Stderr = p.output, p.output
	command.WaitDelay = time.Second // for the rest of its output
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

// stop ends the process: SIGTERM, then SIGKILL. The loop runs meanwhile, since
// the process may wait for responses.
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

// failure returns the error of an unexpected end.
func (p *process) failure() error {
	return fmt.Errorf("it ended (%v): %s", p.err, p.output)
}

// failureOr returns the failure of an ended process, else err.
func (p *process) failureOr(err error) error {
	if p.ended() && !errors.Is(err, errStopped) {
		return p.failure()
	}
	return err
}

// processorTime returns the processor time of all threads of a process, ended
// ones included. The process's clock counts nanoseconds, where /proc/PID/stat
// counts hundredths of a second, and is current, where
// /proc/PID/task/*/schedstat is updated at the next tick of a running thread.
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel's linux/posix-timers.h
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &spent); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}

// residentPeak returns the peak resident memory of a process.
func residentPeak(pid int) (int64, error) {
	return memoryOf(pid, "VmHWM")
}

// anonymousMemory returns the resident memory of a process without that of files.
func anonymousMemory(pid int) (int64, error) { return memoryOf(pid, "RssAnon") }

func memoryOf(pid int, name string) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(content), name)
}

// parseMemory returns a number of kB in /proc/PID/status in bytes.
func parseMemory(status, name string) (int64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		return kib << 10, err
	}
	return 0, errors.New("/proc has no " + name)
}

// tail keeps the end of a process's output. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	bytes []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const maxValue = 2000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes = append(t.bytes, b...)
	if extra := len(t.bytes) - maxValue; extra > 0 {
		t.bytes = bytes.Clone(t.bytes[extra:])
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.bytes))
}
