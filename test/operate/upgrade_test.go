//go:build linux

package operate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

const (
	connections = 64
	complete    = "the upgrade is complete"
)

// Ten upgrades in a row under load: no connection is refused or closed, no packet is lost, and the
// process is the same.
func TestUpgradesUnderLoad(t *testing.T) {
	for _, journal := range []string{"disk", "memory"} {
		t.Run(journal, func(t *testing.T) {
			a := analyzertest.New(t)
			d := start(t, a.URL()+"=1", "-journal", journal)
			l := startLoad(t, d.ingest, connections)
			d.replaceBinary("")
			for range 10 {
				d.upgrade(complete)
				l.awaitMore(2 * connections)
			}
			d.wantMetric(`distributor_upgrades_total{result="completed"} 1`)
			l.end(a)
			d.stop()
		})
	}
}

// SIGHUP never ends the process, also while it executes the new binary.
func TestHangupsDuringUpgrades(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "memory")
	ctx, cancel := context.WithCancel(t.Context())
	var signals sync.WaitGroup
	signals.Go(func() {
		for ticker := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-ticker.C {
			_ = d.command.Process.Signal(syscall.SIGHUP)
		}
	})
	for range 3 {
		d.upgrade(complete)
	}
	cancel()
	signals.Wait()
	d.stop()
}

// A stop that is requested while the admin API completes its requests, just before the new binary
// is executed, ends the process.
func TestStopDuringAnUpgrade(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "disk")
	unfinished, err := net.Dial("tcp", d.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer unfinished.Close()
	if _, err := io.WriteString(unfinished, "PATCH /v1/analyzers/analyzer-1 HTTP/1.1\r\nHost: "+d.admin+"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post("http://"+d.admin+"/v1/upgrade", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("the answer is %s", answer.Status)
	}
	d.signal(syscall.SIGTERM)
	await(t, "the process ends", func() bool {
		select {
		case <-d.ended:
			return true
		default:
			return false
		}
	})
	if code := d.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it exits with %d", code)
	}
}

// A file that is not a working binary of the distributor changes nothing, or the old binary takes
// over again: it continues to serve, in the same process, over the same connections.
func TestBrokenBinaries(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "disk")
	l := startLoad(t, d.ingest, 8)
	good := d.binary + ".good"
	if err := os.Link(program, good); err != nil {
		t.Fatal(err)
	}
	refused, results := "the upgrade failed, the distributor continues", make(map[string]int)
	for _, c := range []struct{ script, outcome, log, result string }{
		{"echo out of order; exit 1", refused, "out of order", "preflight_failed"},
		{"exit 0", refused, "is no logstreamer that can take over", "preflight_failed"},
		{`test $1 = check && exec ` + good + ` "$@"; exit 1`, refused, "exit status 1", "preflight_failed"},
		{`test $1 = distributor && rm $0; exec ` + good + ` "$@"`, "this one continues", "no such file", "exec_failed"},
		{`test $1 = check || test "$LOGSTREAMER_UPGRADE" = trial || set -- "$@" -data-dir /dev/null; exec ` + good + ` "$@"`, "has taken over again", "DATA_DIR", "start_failed"},
		{`test $1 = check || test "$LOGSTREAMER_UPGRADE" = trial || set -- "$@" -admin-tokens-file /dev/null; exec ` + good + ` "$@"`, "has taken over again", "ADMIN_TOKENS_FILE", "start_failed"},
	} {
		d.replaceBinary(c.script)
		d.upgrade(c.outcome)
		l.awaitMore(16)
		if !strings.Contains(d.logged(), c.log) {
			t.Errorf("%s: the log lacks %q", c.script, c.log)
		}
		results[c.result]++
		if c.result == "start_failed" {
			clear(results) // another process image
			results[c.result] = 1
		}
		d.wantMetric(fmt.Sprintf(`distributor_upgrades_total{result=%q} %d`, c.result, results[c.result]))
	}
	d.replaceBinary("")
	d.upgrade(complete)
	l.end(a)
	d.stop()
}

// A memory journal that cannot be delivered is not dropped: the distributor continues, and upgrades
// after the analyzer has recovered.
func TestUndeliverableMemoryJournal(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "memory", "-shutdown-timeout-sec", "1")
	a.Behave(analyzertest.Behaviour{Hang: true})
	l := startLoad(t, d.ingest, 8)
	d.upgrade("cannot be delivered in time")
	l.awaitMore(16)
	d.wantMetric(`distributor_upgrades_total{result="undelivered"} 1`)
	a.Behave(analyzertest.Behaviour{})
	d.upgrade(complete)
	l.end(a)
	d.stop()
}

// A parent process passes listeners by name, as systemd does for a socket unit.
func TestSocketActivation(t *testing.T) {
	a := analyzertest.New(t)
	ingest, metrics := listen(t), listen(t)
	d := activated(t, a.URL(), "ingest:metrics", ingest, metrics)
	l := startLoad(t, d.ingest, 8) // some wait in the kernel's queue until the start
	d.upgrade(complete)
	l.awaitMore(16)
	d.wantMetric(`distributor_upgrades_total{result="completed"} 1`)
	l.end(a)
	d.stop()
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}

// activated starts a distributor with these descriptors. A shell sets LISTEN_PID, which must be the
// id of the process that becomes the distributor.
func activated(t *testing.T, analyzer, names string, sockets ...*net.TCPListener) *distributor {
	t.Helper()
	d := prepareActivated(t, analyzer, names, sockets...)
	d.run()
	return d
}

func prepareActivated(t *testing.T, analyzer, names string, sockets ...*net.TCPListener) *distributor {
	t.Helper()
	d := prepare(t)
	d.ingest, d.metrics = sockets[0].Addr().String(), sockets[len(sockets)-1].Addr().String()
	d.command = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, d.binary,
		"distributor", "-analyzers", analyzer+"=1", "-port", "0", "-metrics-addr", ":0", "-admin-addr", "127.0.0.1:0", "-journal", "disk", "-data-dir", filepath.Join(filepath.Dir(d.log), "data"))
	d.command.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	for _, s := range sockets {
		file, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		d.command.ExtraFiles = append(d.command.ExtraFiles, file)
	}
	return d
}

// A descriptor that the distributor does not know is an error that lists the allowed names.
func TestUnknownSockets(t *testing.T) {
	l := listen(t)
	for names, want := range map[string]string{
		"console":       `LISTEN_FDNAMES has "console": it must be one of ingest, metrics`,
		"":              `LISTEN_FDNAMES has "LISTEN_FD_3": it must be one of ingest, metrics`,
		"ingest:ingest": `LISTEN_FDNAMES has "ingest" more than once`,
	} {
		d := prepareActivated(t, "http://127.0.0.1:1", names, []*net.TCPListener{l, l}[:1+strings.Count(names, ":")]...)
		out, err := d.command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s", names, err, out)
		}
	}
}

// Programs that a distributor starts do not get the environment of an inherited socket.
func TestSocketsAreNotPassedOn(t *testing.T) {
	d := activated(t, "http://127.0.0.1:1", "ingest:metrics", listen(t), listen(t))
	d.replaceBinary(`env | grep LISTEN_; exit 1`)
	d.upgrade(`output: \"\"`)
}
