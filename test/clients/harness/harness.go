// Package harness runs a real distributor process with inputs and a recording analyzer, for
// tests with the real clients of other systems.
package harness

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/binary"
	"github.com/logstreamer/logstreamer/test/ports"
)

// program is the binary under test, which Main builds.
var program string

var detectRaces = flag.Bool("detect-races", false, "build the distributor with the race detector; it fails when it ends if there was a race")

// Main builds the binary, unless LOGSTREAMER in the environment names one, runs the tests of a
// package and returns the exit code.
func Main(m *testing.M) int {
	if program = os.Getenv("LOGSTREAMER"); program != "" {
		return m.Run()
	}
	flag.Parse()
	return binary.Main(m, &program, fmt.Sprint("-race=", *detectRaces))
}

// probe is a client that asks whether a distributor is ready, whatever its certificate.
var probe = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

// Distributor is a distributor process with one Analyzer.
type Distributor struct {
	*testing.T
	Analyzer *Analyzer
	// URL is the URL of PORT, such as http://127.0.0.1:4000, or https with TLS_CERT in the
	// settings.
	URL string
	// Addresses are host:port of the inputs with sockets of their own, by name.
	Addresses map[string]string
	// DataDir is the directory of the journal and the dead letters.
	DataDir string

	metrics string
	args    []string
	env     []string
	log     *bytes.Buffer
	command *exec.Cmd
	ended   chan struct{}
}

// Start starts a distributor and waits until it serves. Inputs are names of INPUTS beside http; env
// has further settings, such as JOURNAL=disk. The distributor ends with the test.
func Start(t *testing.T, inputs []string, env ...string) *Distributor {
	t.Helper()
	analyzer := NewAnalyzer(t)
	d := StartFor(t, analyzer.URL+"=1", inputs, env...)
	d.Analyzer = analyzer
	return d
}

// StartFor is Start with other analyzers, in the form of ANALYZERS, and without
// Distributor.Analyzer.
func StartFor(t *testing.T, analyzers string, inputs []string, env ...string) *Distributor {
	t.Helper()
	free, err := ports.Free(2 + len(inputs))
	if err != nil {
		t.Fatal(err)
	}
	address := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", free[n]) }
	d := &Distributor{
		T: t, URL: "http://" + address(0), metrics: address(1), DataDir: filepath.Join(t.TempDir(), "data"),
		Addresses: make(map[string]string), log: new(bytes.Buffer),
	}
	admin := "off"
	for _, setting := range env {
		if strings.HasPrefix(setting, "TLS_CERT=") {
			d.URL = "https://" + address(0)
		}
		if given, found := strings.CutPrefix(setting, "ADMIN_ADDR="); found {
			admin = given
		}
	}
	listed := []string{"http"}
	for n, name := range inputs {
		d.Addresses[name] = address(2 + n)
		listed = append(listed, name+"="+address(2+n))
	}
	d.args = []string{
		"distributor", "-listen-addr", "127.0.0.1", "-port", fmt.Sprint(free[0]), "-metrics-addr", d.metrics, "-admin-addr", admin,
		"-data-dir", d.DataDir, "-analyzers", analyzers, "-inputs", strings.Join(listed, ","),
		"-health-check-interval-sec", "0.2",
	}
	d.env = append([]string{"SENDER_TIMEOUT_MS=30000"}, env...) // a packet to a hanging analyzer counts as sent once
	d.run()
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("the distributor's log:\n%s", d.log)
		}
	})
	return d
}

func (d *Distributor) run() {
	d.Helper()
	d.command = exec.Command(program, d.args...)
	d.command.Env = append(os.Environ(), d.env...)
	d.command.Stderr = d.log
	if err := d.command.Start(); err != nil {
		d.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func() {
		_ = d.command.Wait() // its result is in ProcessState
		close(d.ended)
	}()
	d.Await("the distributor is ready", func() bool {
		response, err := probe.Get(d.URL + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	for name, address := range d.Addresses {
		if strings.HasSuffix(name, "-udp") {
			continue
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			d.Fatalf("%s: %v", name, err)
		}
		_ = conn.Close()
	}
}

// Kill sends SIGKILL and waits for the end of the process.
func (d *Distributor) Kill() {
	_ = d.command.Process.Kill() // it may have ended
	<-d.ended
}

// Restart is Kill and a new start with the same data.
func (d *Distributor) Restart() {
	d.Helper()
	d.Kill()
	d.run()
}

// Upgrade makes the process execute the binary again and waits until it has.
func (d *Distributor) Upgrade() {
	d.Helper()
	d.Signal(syscall.SIGUSR2)
	d.Await("the upgrade is complete", func() bool {
		return d.Counter("distributor_upgrades_total", `result="completed"`) == 1
	})
}

// Signal sends a signal to the process.
func (d *Distributor) Signal(s os.Signal) {
	d.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.Error(err)
	}
}

// Command returns another command of the binary under test.
func (d *Distributor) Command(args ...string) *exec.Cmd { return exec.Command(program, args...) }

// Stop sends SIGTERM, after which all accepted packets are delivered, and checks the exit code.
func (d *Distributor) Stop() {
	d.Helper()
	_ = d.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		d.Fatal("the distributor does not stop")
	}
	if code := d.command.ProcessState.ExitCode(); code != 0 {
		d.Errorf("the distributor ended with the code %d", code)
	}
}

// Await waits until a condition holds, and fails the test after a minute.
func (d *Distributor) Await(what string, holds func() bool) {
	d.Helper()
	await(d.T, what, holds)
}

// Counter returns the sum of a counter's series with a label, such as reason="too_large", or with an
// empty text of all.
func (d *Distributor) Counter(name, label string) (sum float64) {
	d.Helper()
	response, err := http.Get("http://" + d.metrics + "/metrics")
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		text := lines.Text()
		end := strings.LastIndexByte(text, ' ')
		series, value := text[:max(end, 0)], text[end+1:]
		metric, _, _ := strings.Cut(series, "{")
		if number, err := strconv.ParseFloat(value, 64); err == nil && metric == name && strings.Contains(series, label) {
			sum += number
		}
	}
	return sum
}

// PeakMemory returns the peak memory of the process in bytes (VmHWM), or 0 where it cannot be read.
func (d *Distributor) PeakMemory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.command.Process.Pid))
	if err != nil {
		return 0
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	_, _ = fmt.Sscan(text, &kilobytes) // 0 if the line is missing
	return kilobytes << 10
}
