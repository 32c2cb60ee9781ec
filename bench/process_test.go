//go:build linux

package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The processor time of this process lies between two readings of its own
// clock.
func TestProcessorTimeIsTheKernels(t *testing.T) {
	own := func() time.Duration {
		var spent unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &spent); err != nil {
			t.Fatal(err)
		}
		return time.Duration(spent.Nano())
	}
	before := own()
	spent, err := processorTime(os.Getpid())
	after := own()
	if err != nil || spent < before || spent > after {
		t.Errorf("processorTime is %v, %v: it must lie between %v and %v", spent, err, before, after)
	}
}

func TestProcessorTimeOfEndedProcess(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if spent, err := processorTime(child.Process.Pid); err == nil {
		t.Errorf("a process that has ended has used %v", spent)
	}
}

func TestResidentPeakIsRead(t *testing.T) {
	peak, err := parseMemory("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 5 kB\n", "VmHWM")
	if err != nil || peak != 2<<20 {
		t.Errorf("parseMemory gave %d, %v", peak, err)
	}
	if _, err := parseMemory("Name:\tx\n", "VmHWM"); err == nil {
		t.Error("a status without VmHWM gave no error")
	}
	if peak, err := residentPeak(os.Getpid()); err != nil || peak < 1<<20 {
		t.Errorf("this process's peak is %d, %v", peak, err)
	}
}

func TestChildrenStartOnTheirCores(t *testing.T) {
	cores, err := usableCores()
	if err != nil {
		t.Fatal(err)
	}
	for _, core := range cores {
		var bound []int
		if err := onCores([]int{core}, func() (err error) {
			bound, err = usableCores()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(bound) != 1 || bound[0] != core {
			t.Errorf("bound to %v instead of %d", bound, core)
		}
	}
}

func TestUnresponsiveProcessIsKilled(t *testing.T) {
	events := newTestLoop(t)
	p := startShell(t, "trap '' TERM; echo deaf; read line")
	if err := events.run(10*time.Second, func(time.Time) bool { return p.output.String() == "deaf" }); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	close(stopped)
	events.stopped = stopped // interrupted
	p.stop(events)
	if !p.ended() {
		t.Error("the process still runs")
	}
}

// startShell starts a shell that runs a script, with its input open.
func startShell(t *testing.T, script string) *process {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", script)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cores, err := usableCores()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(command, cores)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = p.command.Process.Kill()
		<-p.exited
	})
	return p
}
