//go:build linux

package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/logstreamer/logstreamer/test/ports"
)

// distributor is a process that keeps its ports and its directory over restarts.
type distributor struct {
	t           *testing.T
	name        string
	dir         string
	port        int
	metrics     string // address of /metrics
	admin       string // URL of the admin API
	environment []string
	program     string // its binary
	group       uint32 // of its process, 0 for the group of the test
	command     *exec.Cmd
	ended       chan struct{}
}

var client = &http.Client{Timeout: waitTimeout, Transport: &http.Transport{DisableKeepAlives: true}}

func newDistributor(t *testing.T, number int, environment []string) *distributor {
	t.Helper()
	free, err := ports.Free(3)
	if err != nil {
		t.Fatal(err)
	}
	d := &distributor{t: t, program: program, name: fmt.Sprintf("distributor-%d", number), dir: t.TempDir(), port: free[0], metrics: "127.0.0.1:" + strconv.Itoa(free[1]), admin: "http://127.0.0.1:" + strconv.Itoa(free[2])}
	d.environment = append(append(os.Environ(),
		"JOURNAL=jetstream", "LISTEN_ADDR=127.0.0.1", "PORT="+strconv.Itoa(free[0]), "METRICS_ADDR="+d.metrics, "ADMIN_ADDR="+strings.TrimPrefix(d.admin, "http://"),
		"DATA_DIR="+filepath.Join(d.dir, "data"), "HEALTH_CHECK_INTERVAL_SEC=0.5", "HEALTH_CHECK_TIMEOUT_SEC=0.5", "SLOW_START_SEC=1"), environment...)
	t.Cleanup(func() {
		d.kill()
		if text, err := os.ReadFile(d.log()); err == nil && t.Failed() {
			t.Logf("the end of the log of %s:\n%s", d.name, text[max(0, len(text)-3000):])
		}
	})
	return d
}

func (d *distributor) log() string { return filepath.Join(d.dir, "log") }

func (d *distributor) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", d.port, path)
}

// launch starts the process without waiting.
func (d *distributor) launch() {
	d.t.Helper()
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(d.program, "distributor")
	command.Env, command.Stdout, command.Stderr = d.environment, log, log
	if d.group != 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: d.group}}
	}
	if err := command.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	d.command, d.ended = command, ended
	go func() {
		_ = command.Wait() // its result is in command.ProcessState
		close(ended)
	}()
}

// start launches it and waits until it accepts packets.
func (d *distributor) start() {
	d.t.Helper()
	d.launch()
	await(d.t, d.name+" is ready", func() bool {
		response, err := client.Get(d.url("/readyz"))
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// kill sends SIGKILL.
func (d *distributor) kill() {
	if d.command != nil {
		_ = d.command.Process.Kill() // it may have ended
		<-d.ended
	}
}

// stop sends SIGTERM and waits for a clean end.
func (d *distributor) stop() {
	d.t.Helper()
	_ = d.command.Process.Signal(syscall.SIGTERM) // then it has ended
	<-d.ended
	if code := d.command.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("%s ended with %d", d.name, code)
	}
}

func (d *distributor) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

type term struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

// ledger is the response to GET /ledger.
type ledger struct {
	Accepted    term  `json:"accepted"`
	Delivered   term  `json:"delivered"`
	Queued      term  `json:"queued"`
	InFlight    term  `json:"in_flight"`
	Dead        term  `json:"dead_lettered"`
	Damaged     term  `json:"damaged"`
	Received    term  `json:"received"`
	Returned    term  `json:"returned"`
	Unaccounted int64 `json:"unaccounted_messages"`
}

func (d *distributor) ledger() (l ledger, err error) {
	response, err := client.Get(d.url("/ledger"))
	if err != nil {
		return l, err
	}
	defer response.Body.Close()
	return l, json.NewDecoder(response.Body).Decode(&l)
}

// checkLedger fails the test unless the ledger of the distributor balances.
func (d *distributor) checkLedger() {
	d.t.Helper()
	l, err := d.ledger()
	if err != nil {
		d.t.Errorf("%s: %v", d.name, err)
		return
	}
	if sum := l.Delivered.Messages + l.Queued.Messages + l.InFlight.Messages + l.Dead.Messages + l.Damaged.Messages + l.Returned.Messages; l.Unaccounted != 0 || sum != l.Received.Messages {
		d.t.Errorf("the ledger of %s does not balance: %+v", d.name, l)
	}
}

// peakMemory returns the peak memory in MiB.
func (d *distributor) peakMemory() (mib int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.command.Process.Pid))
	for line := range linesOf(text) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &mib); err == nil {
			return mib >> 10
		}
	}
	return 0
}
