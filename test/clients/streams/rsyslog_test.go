package streams

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// program returns the path of a program, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

// rsyslog starts rsyslogd with omfwd, which sends the lines of a file.
func rsyslog(t *testing.T, address, action string) (file string) {
	t.Helper()
	path := program(t, "rsyslogd")
	folder := t.TempDir()
	file = filepath.Join(folder, "in.log")
	host, port, _ := net.SplitHostPort(address)
	config := fmt.Sprintf(`global(workDirectory=%q)
module(load="imfile")
input(type="imfile" file=%q tag="app:" severity="error" facility="local0")
action(type="omfwd" target=%q port=%q action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="linkedList" %s)
`, folder, file, host, port, action)
	name := filepath.Join(folder, "rsyslog.conf")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	command := exec.Command(path, "-n", "-f", name, "-i", filepath.Join(folder, "pid"))
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("rsyslogd: %s", output.String())
		}
	})
	return file
}

func TestRsyslog(t *testing.T) {
	program(t, "rsyslogd")
	for name, c := range map[string]struct{ input, action string }{
		"TCP, RFC 5424": {"syslog-tcp", `protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"`},
		"TCP, RFC 3164": {"syslog-tcp", `protocol="tcp" template="RSYSLOG_TraditionalForwardFormat"`},
		"UDP":           {"syslog-udp", `protocol="udp" template="RSYSLOG_ForwardFormat"`},
	} {
		t.Run(name, func(t *testing.T) {
			d := harness.Start(t, []string{c.input})
			start := time.Now().Add(-time.Second).UnixMilli()
			file := rsyslog(t, d.Addresses[c.input], c.action)
			all := texts()
			write := func(texts []string) {
				f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString(strings.Join(texts, "\n") + "\n"); err != nil {
					t.Fatal(err)
				}
			}
			write(all[:messages/2])
			d.Analyzer.AwaitAll(t, "m-", all[:1])
			d.Analyzer.Hang()
			write(all[messages/2:])
			time.AfterFunc(time.Second, d.Analyzer.Resume)
			d.Analyzer.AwaitOnce(t, "m-", all)
			host, _ := os.Hostname()
			m := d.Analyzer.Messages()[0]
			if host, _, _ = strings.Cut(host, "."); !strings.HasPrefix(m.EmitterID, host) || m.Level != "ERROR" || m.Timestamp < start ||
				m.Metadata["appname"] != "app" || m.Metadata["facility"] != "local0" {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	path := program(t, "logger")
	d := harness.Start(t, []string{"syslog-tcp", "syslog-udp"})
	all := texts()
	for name, args := range map[string][]string{
		"syslog-tcp": {"-T", "--octet-count", "--rfc5424"}, "syslog-udp": {"-d", "--rfc3164"},
	} {
		part := all[:messages/2]
		if name == "syslog-udp" {
			part = all[messages/2:]
		}
		host, port, _ := net.SplitHostPort(d.Addresses[name])
		command := exec.Command(path, append(args, "-n", host, "-P", port, "-p", "user.warning", "-t", "app")...)
		command.Stdin = strings.NewReader(strings.Join(part, "\n") + "\n")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	d.Analyzer.AwaitOnce(t, "m-", all)
	for _, m := range d.Analyzer.Messages() {
		if m.Level != "WARN" || m.Metadata["appname"] != "app" {
			t.Fatalf("%+v", m)
		}
	}
}
