package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// spaceRows are full and failing disks.
func spaceRows() []row {
	return onDisk([]row{
		{
			name: "disk-full", fault: "something else fills the disk (a tmpfs) and goes again",
			promise: "503 `journal_unwritable` at once; accepts again without a restart", needs: noMounts, alone: true,
			env: map[string]string{"JOURNAL_MAX_BYTES": "8388608", "MAX_BODY_BYTES": "65536"}, do: diskFull,
		},
		{
			name: "killed-on-full-disk", fault: "two faults at once: kill -9 while the disk is full, a start on the full disk, then space again",
			promise: "it starts and delivers what it has; accepts again without a restart", needs: noMounts, alone: true,
			env: map[string]string{"JOURNAL_MAX_BYTES": "8388608", "MAX_BODY_BYTES": "65536"}, do: killedOnFullDisk,
		},
		{
			name: "fsync-errors", fault: "every 25th synced write fails with EIO (strace), then kill -9",
			promise: "no 2xx for what was not synced; it recovers by itself", needs: noStrace, alone: true, do: failing("io_submit,fdatasync,fsync", "EIO"),
		},
		{
			name: "fsync-errors-plain", fault: "every 25th sync fails with EIO where the kernel refuses asynchronous writes (strace), then kill -9",
			promise: "no 2xx for what was not synced; it recovers by itself", needs: noStrace, alone: true, do: failing("fdatasync,fsync", "EIO", noAsynchronousWrites),
		},
		{
			name: "write-errors", fault: "every 25th write to the journal fails with EIO where the kernel refuses asynchronous writes (strace), then kill -9",
			promise: "no 2xx for what was not written; it recovers by itself", needs: noStrace, alone: true, do: failing("pwrite64", "EIO", noAsynchronousWrites),
		},
		{
			name: "write-results-lost", fault: "the result of a write cannot be read from the kernel (strace), then kill -9",
			promise: "no 2xx for what may not be written; it recovers by itself", needs: noStrace, alone: true, do: failing("io_getevents", "EIO"),
		},
		{
			name: "no-space-errors", fault: "every 25th write to the journal fails with ENOSPC (strace), then kill -9",
			promise: "no 2xx for what was not written; it recovers by itself", needs: noStrace, alone: true, do: failing("io_submit,pwrite64", "ENOSPC"),
		},
		{
			name: "slow-writes", fault: "each write to the journal takes 50 ms more (strace), then kill -9",
			promise: "packets share writes: none is refused, all are answered", needs: noStrace, alone: true, do: delaying("50ms", "1+"),
		},
		{
			name: "hanging-writes", fault: "every 25th write to the journal takes 2 s (strace), then kill -9",
			promise: "requests wait for the write: none is refused, all are answered", needs: noStrace, alone: true, do: delaying("2s", "25+25"),
		},
	})
}

// noMounts returns why no file system can be mounted here, or "".
func noMounts() string {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(dir)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		return fmt.Sprintf("a tmpfs cannot be mounted: %v %s", err, oneLine(out))
	}
	if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
		return fmt.Sprintf("a tmpfs cannot be unmounted: %v %s", err, oneLine(out))
	}
	return ""
}

// mountSmallDisk mounts a small disk as the data directory, and returns the
// path of a file that can fill it.
func (s *system) mountSmallDisk() (fillFile string) {
	s.t.Helper()
	dir := s.t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", dir).CombinedOutput(); err != nil {
		s.t.Fatalf("mount: %v: %s", err, out)
	}
	s.t.Cleanup(func() {
		s.distributor.kill()
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			s.t.Errorf("umount: %v: %s", err, out)
		}
	})
	s.distributor.dataDir = filepath.Join(dir, "data")
	return filepath.Join(dir, "ballast")
}

func diskFull(s *system) {
	fillFile := s.mountSmallDisk()
	s.begin()
	for range 3 {
		s.fill(fillFile)
		s.remove(fillFile)
		s.emitters.awaitMore(s.t, accepted, 300)
	}
	s.assertOnlyUnwritable()
	s.report("99 %% of refusals within %v", rounded(s.emitters.records().with(refused).p99()))
}

func killedOnFullDisk(s *system) {
	fillFile := s.mountSmallDisk()
	s.begin()
	s.setAllBehaviours(analyzertest.Behaviour{Delay: 100 * time.Millisecond})
	s.emitters.awaitMore(s.t, accepted, 500)
	s.fill(fillFile)
	s.distributor.kill()
	ready := s.distributor.startUntil("/livez")
	s.setAllBehaviours(analyzertest.Behaviour{})
	s.emitters.awaitMore(s.t, refused, 50)
	s.remove(fillFile)
	s.emitters.awaitMore(s.t, accepted, 300)
	s.assertOnlyUnwritable()
	s.report("it served in %v", ready.Round(10*time.Millisecond))
}

// assertOnlyUnwritable fails unless all refusals, and at least one, are 503
// journal_unwritable.
func (s *system) assertOnlyUnwritable() {
	s.t.Helper()
	const unwritable = "503 journal_unwritable"
	codes := s.emitters.records().codes()
	if len(codes) != 1 || codes[unwritable] == 0 {
		s.t.Errorf("emitters should be refused with %s alone: %v", unwritable, codes)
	}
}

// fill grows a file until emitters are refused.
func (s *system) fill(path string) {
	fillFile, err := os.Create(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer fillFile.Close()
	goal := s.emitters.count(refused) + 50
	block := make([]byte, 256<<10)
	await(s.t, "the disk is full", func() bool {
		if _, err := fillFile.Write(block); err != nil && !errors.Is(err, syscall.ENOSPC) {
			s.t.Fatal(err)
		}
		return s.emitters.count(refused) >= goal
	})
}

func (s *system) remove(path string) {
	if err := os.Remove(path); err != nil {
		s.t.Fatal(err)
	}
}

// noStrace returns why strace cannot inject errors here, or "".
func noStrace() string {
	if _, err := exec.LookPath("strace"); err != nil {
		return "strace is not installed"
	}
	if out, err := exec.Command("strace", "-qq", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		return "strace does not work here: " + oneLine(out)
	}
	return ""
}

// noAsynchronousWrites is an injection of strace, as by a seccomp policy.
const noAsynchronousWrites = "io_setup:error=EPERM"

// failing makes every 25th of some system calls fail, until the distributor is killed
// and restarted. Other injections apply to all calls.
func failing(calls, with string, others ...string) func(*system) {
	return func(s *system) {
		s.distributor.inject(append(others, calls+":error="+with+":when=25+25")...)
		s.begin()
		s.emitters.awaitMore(s.t, accepted, 1000)
		await(s.t, "a write has failed", func() bool { return s.emitters.count(refused) > 0 })
		s.emitters.awaitMore(s.t, accepted, 200)
		s.distributor.kill()
		s.distributor.within = nil
		s.distributor.start()
		s.emitters.awaitMore(s.t, accepted, 200)
		s.assertOnlyUnwritable()
	}
}

// delaying makes some writes and syncs return late, until the distributor is killed and
// restarted.
func delaying(by, when string) func(*system) {
	return func(s *system) {
		s.distributor.inject("io_submit,pwrite64,fdatasync,fsync:delay_exit=" + by + ":when=" + when)
		s.begin()
		s.closedLoop()
		s.emitters.awaitMore(s.t, accepted, 3000)
		s.assertUnaffected("while writes are late")
		s.report("99 %% of responses within %v", rounded(s.emitters.records().with(accepted).p99()))
		s.distributor.kill()
		s.distributor.within = nil
		s.distributor.start()
		s.emitters.awaitMore(s.t, accepted, 200)
	}
}
