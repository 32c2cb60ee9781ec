//go:build linux

package cluster

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/test/natstest"
)

// demo is the command logstreamer demo -cluster 3.
type demo struct {
	t       *testing.T
	dir     string // for temporary files
	out     bytes.Buffer
	command *exec.Cmd
}

func startDemo(t *testing.T, arguments ...string) *demo {
	t.Helper()
	d := &demo{t: t, dir: t.TempDir()}
	d.command = exec.Command(program, append([]string{"demo", "-cluster", "3", "-nats-server", natstest.Binary(t)}, arguments...)...)
	d.command.Env = append(os.Environ(), "TMPDIR="+d.dir)
	d.command.Stdout, d.command.Stderr = &d.out, &d.out
	// processes that the demo leaves behind must not block the test
	d.command.WaitDelay = time.Second
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.command.Process.Kill() }) // it has ended
	return d
}

// processes returns the processes that have their directory among the demo's temporary files.
func (d *demo) processes() (pids []string) {
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, link := range all {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, d.dir) {
			pids = append(pids, link)
		}
	}
	return pids
}

// end waits for the end of the demo, and checks that no process and no file is left.
func (d *demo) end() (output string, code int) {
	d.t.Helper()
	_ = d.command.Wait() // the code says it
	if left, err := os.ReadDir(d.dir); err != nil || len(left) > 0 {
		d.t.Errorf("temporary files are left: %v, %v", left, err)
	}
	if left := d.processes(); len(left) > 0 {
		d.t.Errorf("processes are left: %v", left)
	}
	return d.out.String(), d.command.ProcessState.ExitCode()
}

// A distributor of the demo is killed for a while; the ledger of the cluster balances.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "-duration", "5s", "-rate", "300", "-kill-after", "1s", "-kill-duration", "1s")
	out, code := d.end()
	if code != 0 {
		t.Errorf("it ended with %d", code)
	}
	for _, text := range []string{`distributor-1 \(process \d+\) was killed`, `distributor-1 +killed +0 `, `distributor-1 is started again`, `(?m)^It balances\.$`} {
		if !regexp.MustCompile(text).MatchString(out) {
			t.Errorf("%q is missing", text)
		}
	}
	for line := range strings.Lines(out) {
		if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns >= 80 {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	if t.Failed() {
		t.Log(out[max(0, len(out)-4000):])
	}
}

// A demo that is interrupted twice ends at once, and leaves no process behind.
func TestDemoInterruptedTwice(t *testing.T) {
	t.Parallel()
	const natsAndDistributors = 4
	d := startDemo(t, "-console", "-kill-after", "0")
	await(t, "all processes run", func() bool { return len(d.processes()) == natsAndDistributors })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for d.command.Process.Signal(syscall.SIGINT) == nil { // until it has ended
			<-ticker.C
		}
	}()
	if out, code := d.end(); code > 1 {
		t.Errorf("it ended with %d: %s", code, out)
	}
	<-ended
}
