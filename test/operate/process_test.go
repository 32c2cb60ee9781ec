//go:build linux

package operate

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// distributor is a process under test, whose binary can be replaced.
type distributor struct {
	*testing.T
	binary, log     string // paths
	ingest, metrics string // addresses
	admin           string // address, known once it serves
	command         *exec.Cmd
	ended           chan struct{}
}

// start starts a distributor and waits until it serves. Without analyzers a file must have them.
func start(t *testing.T, analyzers string, flags ...string) *distributor {
	t.Helper()
	free, err := ports.Free(2)
	if err != nil {
		t.Fatal(err)
	}
	d := prepare(t)
	d.ingest, d.metrics = fmt.Sprintf("127.0.0.1:%d", free[0]), fmt.Sprintf("127.0.0.1:%d", free[1])
	if analyzers != "" {
		// a busy machine must not make an analyzer unhealthy
		flags = append([]string{"-analyzers", analyzers, "-sender-timeout-ms", "60000", "-health-check-timeout-sec", "60"}, flags...)
	}
	d.command = exec.Command(d.binary, append([]string{
		"distributor", "-listen-addr", "127.0.0.1", "-data-dir", filepath.Join(filepath.Dir(d.log), "data"),
		"-port", fmt.Sprint(free[0]), "-metrics-addr", d.metrics, "-admin-addr", "127.0.0.1:0",
	}, flags...)...)
	d.run()
	return d
}

// prepare gives the distributor a directory with its own copy of the binary.
func prepare(t *testing.T) *distributor {
	t.Helper()
	dir := t.TempDir()
	d := &distributor{T: t, binary: filepath.Join(dir, "logstreamer"), log: filepath.Join(dir, "log")}
	if err := os.Link(program, d.binary); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *distributor) run() {
	d.Helper()
	log, err := os.Create(d.log)
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	d.command.Stdout, d.command.Stderr = log, log
	if err := d.command.Start(); err != nil {
		d.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func() {
		_ = d.command.Wait() // its result is in ProcessState
		close(d.ended)
	}()
	d.Cleanup(d.kill)
	d.awaitLog("the admin API is served", 1)
	_, address, _ := strings.Cut(d.logged(), `"the admin API is served" address=`)
	d.admin, _, _ = strings.Cut(address, " ")
}

func (d *distributor) kill() {
	_ = d.command.Process.Kill() // it may have ended
	<-d.ended
	if d.Failed() {
		d.Logf("the distributor's log:\n%.20000s", d.logged())
	}
}

// replaceBinary replaces the binary as package managers do, by a shell script or by the
// same version.
func (d *distributor) replaceBinary(script string) {
	d.Helper()
	content := []byte("#!/bin/sh\n" + script)
	if script == "" {
		var err error
		if content, err = os.ReadFile(program); err != nil {
			d.Fatal(err)
		}
	}
	next := d.binary + ".next"
	if err := errors.Join(os.WriteFile(next, content, 0o700), os.Rename(next, d.binary)); err != nil {
		d.Fatal(err)
	}
}

// upgrade sends SIGUSR2 and waits until the log contains the outcome once more.
func (d *distributor) upgrade(outcome string) {
	d.Helper()
	before := strings.Count(d.logged(), outcome)
	d.signal(syscall.SIGUSR2)
	d.awaitLog(outcome, before+1)
}

func (d *distributor) signal(s syscall.Signal) {
	d.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.Fatal(err)
	}
}

// stop sends SIGTERM, and checks that the distributor delivers every packet.
func (d *distributor) stop() {
	d.Helper()
	d.signal(syscall.SIGTERM)
	<-d.ended
	if code := d.command.ProcessState.ExitCode(); code != 0 {
		d.Errorf("it exits with %d", code)
	}
}

func (d *distributor) logged() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		d.Fatal(err)
	}
	return string(text)
}

func (d *distributor) awaitLog(text string, times int) {
	d.Helper()
	await(d.T, fmt.Sprintf("the log has %d times %q", times, text), func() bool {
		select {
		case <-d.ended:
			d.Fatalf("the distributor has ended: %v", d.command.ProcessState)
		default:
		}
		return strings.Count(d.logged(), text) >= times
	})
}

// get returns the body of a page.
func (d *distributor) get(url string) string {
	d.Helper()
	response, err := http.Get(url)
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		d.Fatalf("%s: %s %v", url, response.Status, err)
	}
	return string(text)
}

// wantMetric checks that a line is among the metrics.
func (d *distributor) wantMetric(line string) {
	d.Helper()
	if text := d.get("http://" + d.metrics + "/metrics"); !strings.Contains(text, "\n"+line+"\n") {
		name, _, _ := strings.Cut(line, "{")
		for l := range strings.Lines(text) {
			if strings.HasPrefix(l, name) {
				d.Log(l)
			}
		}
		d.Errorf("the metrics lack %s", line)
	}
}

// await polls until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		case <-ticker.C:
		}
	}
}
