package streams

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

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
