//go:build linux

package operate

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// fleetFlags are the flags of a distributor whose analyzers all register, with short times.
var fleetFlags = []string{
	"-journal", "disk", "-health-check-interval-sec", "0.2", "-max-failures", "2", "-slow-start-sec", "0",
}

// leased is a process that has registered, or that registers another process.
type leased struct {
	*exec.Cmd
	t     *testing.T
	log   lockedBuffer
	ended chan struct{}
}

// lockedBuffer may be written and read concurrently.
type lockedBuffer struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func startLeased(t *testing.T, name string, arguments ...string) *leased {
	t.Helper()
	l := &leased{Cmd: exec.Command(name, arguments...), t: t, ended: make(chan struct{})}
	l.Stdout, l.Stderr = &l.log, &l.log
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = l.Wait() // its result is in ProcessState
		close(l.ended)
	}()
	t.Cleanup(func() {
		_ = l.Process.Kill() // it may have ended
		<-l.ended
		if t.Failed() {
			t.Logf("%s:\n%.3000s", strings.Join(l.Args[1:], " "), l.log.String())
		}
	})
	return l
}

// stop asks the process to stop, and checks that it leaves with a drain.
func (l *leased) stop() {
	l.t.Helper()
	if err := l.Process.Signal(syscall.SIGTERM); err != nil {
		l.t.Fatal(err)
	}
	<-l.ended
	if l.ProcessState.ExitCode() != 0 || !strings.Contains(l.log.String(), "drained") {
		l.t.Errorf("%v\n%s", l.ProcessState, l.log.String())
	}
}

// analyzer starts an analyzer that registers as a member of the group fleet.
func (d *distributor) analyzer(id string) *leased {
	return startLeased(d.T, program, "analyzer", "-port", "0", "-listen-addr", "127.0.0.1", "-register", "http://"+d.admin, "-weight", "0.2", "-group", "fleet", "-id", id)
}

// registered returns the ids of the healthy analyzers that registered.
func (d *distributor) registered() (ids []string) {
	var all struct {
		Analyzers []struct {
			ID         string
			Registered bool
			Status     struct{ Healthy bool }
		}
	}
	if status, err := d.request(http.MethodGet, "/v1/analyzers", "", &all); err != nil || status != http.StatusOK {
		d.Fatal(status, err)
	}
	for _, one := range all.Analyzers {
		if one.Registered && one.Status.Healthy {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

func (d *distributor) awaitRegistered(ids string) {
	d.Helper()
	await(d.T, "registered and healthy are "+ids, func() bool { return strings.Join(d.registered(), " ") == ids })
}

// awaitLedger waits until every packet is delivered, and no message is unaccounted for.
func (d *distributor) awaitLedger() {
	d.Helper()
	var status struct {
		Ledger struct {
			Accepted, Delivered struct{ Packets int64 }
			Unaccounted         int64 `json:"unaccounted_messages"`
		}
	}
	await(d.T, "everything is delivered", func() bool {
		if _, err := d.request(http.MethodGet, "/v1/status", "", &status); err != nil {
			d.Fatal(err)
		}
		return status.Ledger.Delivered == status.Ledger.Accepted && status.Ledger.Unaccounted == 0
	})
	d.Logf("%+v", status.Ledger)
}

// events returns the number of events of each kind for an analyzer.
func (d *distributor) events(id string) map[string]int {
	var reported struct{ Events []struct{ Kind, Path string } }
	if _, err := d.request(http.MethodGet, "/v1/events?limit=1000", "", &reported); err != nil {
		d.Fatal(err)
	}
	counts := make(map[string]int)
	for _, e := range reported.Events {
		if e.Path == "analyzers/"+id {
			counts[e.Kind]++
		}
	}
	return counts
}

// Analyzers come and go under load: no packet is refused or lost. One is killed: its lease lapses,
// and it is removed.
func TestAnalyzersComeAndGo(t *testing.T) {
	d := start(t, "lease+http://fleet=1", append(fleetFlags, "-lease-ttl-sec", "10")...)
	names := []string{"m0", "m1", "m2", "m3", "m4", "m5"}
	processes := []*leased{d.analyzer("m0"), d.analyzer("m1")}
	d.awaitRegistered("m0 m1")
	l := startLoad(t, d.ingest, 4)
	for i := 2; i < len(names); i++ {
		processes = append(processes, d.analyzer(names[i]))
		d.awaitRegistered(strings.Join(names[i-2:i+1], " "))
		l.awaitMore(100)
		if i == 3 {
			_ = processes[i-2].Process.Kill()
		} else {
			processes[i-2].stop()
		}
		d.awaitRegistered(strings.Join(names[i-1:i+1], " "))
		l.awaitMore(100)
	}
	l.stopping.Store(true)
	l.sending.Wait()
	d.awaitLedger()
	if got := d.events("m0"); got["lease_granted"] != 1 || got["lease_ended"] != 1 || got["drained"] != 1 {
		t.Errorf("stopped: %v", got)
	}
	await(t, "the one that was killed is removed", func() bool {
		got := d.events("m1")
		return got["drained"] == 1 && got["lease_lost"] == 1
	})
	if got := d.events("m1"); got["lease_lapsed"] != 1 || got["lease_ended"] != 0 {
		t.Errorf("killed: %v", got)
	}
	d.stop()
}

// After a restart, also after kill -9, the distributor has its analyzers before they renew their
// leases, whose time is an hour here, and continues with its stored packets.
func TestRestartWithLeases(t *testing.T) {
	d := start(t, "lease+http://fleet=1", append(fleetFlags, "-lease-ttl-sec", "3600")...)
	arguments := d.command.Args
	d.analyzer("m1") // knows only the admin address of the first process, which had a free port
	d.analyzer("m2")
	d.awaitRegistered("m1 m2")
	for _, end := range []func(){d.stop, func() { _ = d.command.Process.Kill(); <-d.ended }} {
		l := startLoad(t, d.ingest, 2)
		l.awaitMore(50)
		l.stopping.Store(true)
		l.sending.Wait()
		end()
		d.command = exec.Command(arguments[0], arguments[1:]...)
		d.run()
		d.awaitRegistered("m1 m2")
		d.awaitLedger()
	}
}

// The script of the documentation registers an analyzer that does not support leases, renews its
// lease, and leaves.
func TestRegisterScript(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is needed:", err)
	}
	text, err := os.ReadFile("../../docs/discovery.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(#!/bin/sh\n.*?)```").FindSubmatch(text)
	if script == nil {
		t.Fatal("the documentation has no script")
	}
	file := filepath.Join(t.TempDir(), "register.sh")
	shorter := bytes.Replace(script[1], []byte("sleep 10"), []byte("sleep 1"), 1)
	if err := os.WriteFile(file, shorter, 0o600); err != nil {
		t.Fatal(err)
	}
	kept, a := analyzertest.New(t), analyzertest.New(t)
	d := start(t, kept.URL()+"=0.5", append(fleetFlags, "-lease-ttl-sec", "60")...)
	loop := startLeased(t, "sh", file, "http://"+d.admin, "a9", a.URL(), "0.5")
	d.awaitRegistered("a9")
	l := startLoad(t, d.ingest, 2)
	l.awaitMore(20)
	first := d.leaseExpires("a9")
	await(t, "the lease is renewed", func() bool { return d.leaseExpires("a9").After(first) })
	loop.stop()
	d.awaitRegistered("")
	l.stopping.Store(true)
	l.sending.Wait()
	d.awaitLedger()
	if len(a.Taken()) == 0 || len(a.Taken())+len(kept.Taken()) < len(l.accepted) {
		t.Errorf("%d and %d taken, %d accepted", len(a.Taken()), len(kept.Taken()), len(l.accepted))
	}
	d.stop()
}

func (d *distributor) leaseExpires(id string) time.Time {
	var all struct {
		Leases []struct {
			ID      string
			Expires time.Time
		}
	}
	if _, err := d.request(http.MethodGet, "/v1/leases", "", &all); err != nil {
		d.Fatal(err)
	}
	for _, one := range all.Leases {
		if one.ID == id {
			return one.Expires
		}
	}
	d.Fatalf("there is no lease of %s", id)
	return time.Time{}
}
