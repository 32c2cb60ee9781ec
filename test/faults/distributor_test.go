package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// distributor controls the process under test. It keeps its ports, directory
// and log over restarts.
type distributor struct {
	t       *testing.T
	program string
	within  []string // command prefix, such as strace
	flags   []string
	env     []string
	dataDir string
	log     string // path
	port    int
	// metricsPort serves /metrics.
	metricsPort int
	client      *http.Client

	starts  int
	stopped bool // by SIGSTOP
	command *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

func newDistributor(t *testing.T, program string) *distributor {
	t.Helper()
	free, err := ports.Free(2)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d := &distributor{
		t: t, program: program,
		dataDir: filepath.Join(dir, "data"), log: filepath.Join(dir, "distributor.log"),
		port: free[0], metricsPort: free[1],
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("the end of the distributor's log:\n%s", d.tail(6000))
		}
		if t.Failed() && *keep {
			kept := filepath.Join(os.TempDir(), fmt.Sprintf("faults-%s-%d", filepath.Base(t.Name()), d.port))
			t.Logf("its directory is kept as %s: %v", kept, os.Rename(dir, kept))
		}
	})
	return d
}

// inject makes system calls fail or wait, as strace's option of that name does.
func (d *distributor) inject(expressions ...string) {
	d.within = []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"}
	for _, expression := range expressions {
		d.within = append(d.within, "-e", "inject="+expression)
	}
}

func (d *distributor) url(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(d.port) + path
}

// launch starts the process without waiting.
func (d *distributor) launch() {
	d.t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	arguments := append(append([]string{}, d.within...), d.program, "distributor")
	arguments = append(arguments, d.flags...)
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Env = append(append(os.Environ(), d.env...), "DATA_DIR="+d.dataDir,
		"PORT="+strconv.Itoa(d.port), "METRICS_ADDR=127.0.0.1:"+strconv.Itoa(d.metricsPort), "ADMIN_ADDR=127.0.0.1:0")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.starts++
	ended := make(chan struct{})
	d.command, d.ended = command, ended
	go func() {
		_ = command.Wait() // its result is in command.ProcessState
		close(ended)
	}()
}

// start launches it and returns the time until it was ready.
func (d *distributor) start() time.Duration { return d.startUntil("/readyz") }

// startUntil launches it and returns the time until path was answered with 200.
func (d *distributor) startUntil(path string) time.Duration {
	d.t.Helper()
	started := time.Now()
	d.launch()
	await(d.t, "the distributor answers "+path, func() bool {
		select {
		case <-d.ended:
			d.t.Fatalf("the distributor ended with %d instead of serving", d.command.ProcessState.ExitCode())
		default:
		}
		return d.status(path) == http.StatusOK
	})
	return time.Since(started)
}

func (d *distributor) running() bool {
	if d.command == nil {
		return false
	}
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// kill sends SIGKILL.
func (d *distributor) kill() {
	if d.command != nil {
		_ = d.command.Process.Kill() // it may have ended
		<-d.ended
	}
}

func (d *distributor) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
	d.stopped = s == sigStop
}

// terminate sends SIGTERM and returns the exit code.
func (d *distributor) terminate() int {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	return d.exit()
}

// exit waits for the end of the process and returns its exit code.
func (d *distributor) exit() int {
	d.t.Helper()
	await(d.t, "the distributor ends", func() bool { return !d.running() })
	return d.command.ProcessState.ExitCode()
}

// status returns the status of a GET, 0 without a response.
func (d *distributor) status(path string) int {
	response, err := d.client.Get(d.url(path))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// totals are the members of /metrics-json that must balance.
type totals struct {
	Packets      int64            `json:"total_packets"`
	Messages     int64            `json:"total_messages"`
	MessagesBy   map[string]int64 `json:"messages_by_analyzer"`
	Delivered    int64            `json:"delivered_packets"`
	DeadLettered int64            `json:"dead_lettered_packets"`
	Unaccounted  int64            `json:"unaccounted_messages"`
	Healthy      int              `json:"healthy_analyzers"`
}

func (d *distributor) totals() (b totals, err error) {
	response, err := d.client.Get(d.url("/metrics-json"))
	if err != nil {
		return b, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return b, fmt.Errorf("status %d", response.StatusCode)
	}
	err = json.NewDecoder(response.Body).Decode(&b)
	return b, err
}

// awaitHealthy waits for a number of healthy analyzers.
func (d *distributor) awaitHealthy(analyzers int) {
	d.t.Helper()
	await(d.t, fmt.Sprintf("%d analyzers are healthy", analyzers), func() bool {
		b, err := d.totals()
		return err == nil && b.Healthy == analyzers
	})
}

// logged returns the log so far.
func (d *distributor) logged() string {
	text, err := os.ReadFile(d.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Error(err)
	}
	return string(text)
}

func (d *distributor) tail(bytes int) string {
	text := d.logged()
	return text[max(0, len(text)-bytes):]
}

var (
	undeliveredPattern = regexp.MustCompile(`left_packets=(\d+)`)
	damagePattern      = regexp.MustCompile(`(?:are lost to damage|cannot be read back).* packets=(\d+) (?:messages=\d+ )?first_sequence=\d+ last_sequence=\d+`)
)

// undeliveredLogged returns how many packets it logged as undelivered at its
// stop.
func (d *distributor) undeliveredLogged() (packets int) {
	if m := undeliveredPattern.FindStringSubmatch(d.logged()); m != nil {
		packets, _ = strconv.Atoi(m[1])
	}
	return packets
}

// lostLogged returns how many packets it logged as lost to damage over all
// starts. Each start logs known damage again.
func (d *distributor) lostLogged() (packets int) {
	seen := make(map[string]bool)
	for _, m := range damagePattern.FindAllStringSubmatch(d.logged(), -1) {
		if !seen[m[0]] {
			seen[m[0]] = true
			n, _ := strconv.Atoi(m[1])
			packets += n
		}
	}
	return packets
}

// peakMemory returns the largest resident memory in MiB, without the pages of the program
// file, which the kernel shares and drops as it likes.
func (d *distributor) peakMemory() int {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.command.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	kilobytes := func(name string) int {
		m := regexp.MustCompile(name + `:\s*(\d+) kB`).FindSubmatch(text)
		if m == nil {
			d.t.Fatal("/proc has no " + name)
		}
		number, _ := strconv.Atoi(string(m[1]))
		return number
	}
	return (kilobytes("VmHWM") - kilobytes("RssFile")) >> 10
}

// waitTimeout bounds every wait generously.
func waitTimeout() time.Duration {
	if *judge {
		return 6 * time.Minute
	}
	return 3 * time.Minute
}

// await polls until the condition holds, and fails the test at waitTimeout.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), waitTimeout())
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("timed out after %v waiting until %s", waitTimeout(), what)
		case <-ticker.C:
		}
	}
}
