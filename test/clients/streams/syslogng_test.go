package streams

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// syslogNG returns syslog-ng with a destination, in which %HOST%, %PORT% and %DIR% are replaced.
// Its packages conflict with rsyslog's: SYSLOG_NG may be a directory with the unpacked packages.
func syslogNG(input, destination string) sender {
	return sender{
		input: input, emitter: hostname(), metadata: map[string]string{"appname": "app", "facility": "local0"},
		config: func(dir, host, port string) string {
			destination := strings.NewReplacer("%HOST%", host, "%PORT%", port, "%DIR%", dir).Replace(destination)
			return fmt.Sprintf(`@version: 3.38
options { time-reopen(1); use-dns(no); keep-hostname(no); stats-freq(0); frac-digits(3); };
source lines { file(%q follow-freq(0.1) flags(no-parse) program-override("app") default-facility(local0) default-priority(err)); };
destination out { %s };
log { source(lines); destination(out); flags(flow-control); };
`, filepath.Join(dir, "in.log"), destination)
		},
		command: func(t *testing.T, dir string) *exec.Cmd {
			root := os.Getenv("SYSLOG_NG")
			path := filepath.Join(root, "/usr/sbin/syslog-ng")
			if _, err := os.Stat(path); err != nil {
				t.Skip("syslog-ng is neither installed nor unpacked where SYSLOG_NG says")
			}
			in := func(name string) string { return filepath.Join(dir, name) }
			command := exec.Command(path, "-F", "--no-caps", "-f", in("config"), "-p", in("pid"), "-c", in("control"), "-R", in("persist"),
				"--module-path", filepath.Join(root, "/usr/lib/syslog-ng/3.38"))
			command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join([]string{
				filepath.Join(root, "/usr/lib/x86_64-linux-gnu"), filepath.Join(root, "/lib/x86_64-linux-gnu"), filepath.Join(root, "/usr/lib/syslog-ng"),
			}, ":"))
			return command
		},
	}
}

// bulkNG is syslog-ng's http destination with the bulk API of Elasticsearch.
func bulkNG() sender {
	s := syslogNG("elasticsearch", `http(url("http://%HOST%:%PORT%/_bulk") method("POST") batch-lines(100) batch-timeout(100) workers(2) retries(100)
  headers("Content-Type: application/x-ndjson") body-suffix("\n") delimiter("\n")
  body('{"create":{"_index":"logs"}}
$(format-json @timestamp=$ISODATE message=$MESSAGE severity=$LEVEL host=$HOST)'));`)
	s.emitter, s.metadata = "logs/"+hostname(), map[string]string{"es.index": "logs"}
	return s
}

func TestSyslogNG(t *testing.T) {
	for name, s := range map[string]sender{
		"TCP, RFC 5424": syslogNG("syslog-tcp", `syslog("%HOST%" port(%PORT%) transport("tcp"));`),
		"TCP, RFC 3164": syslogNG("syslog-tcp", `network("%HOST%" port(%PORT%) transport("tcp"));`),
		"UDP":           syslogNG("syslog-udp", `syslog("%HOST%" port(%PORT%) transport("udp"));`),
		"TLS":           withTLS(syslogNG("syslog-tls", `syslog("%HOST%" port(%PORT%) transport("tls") tls(ca-file("%DIR%/ca.crt")));`)),
		"elasticsearch": bulkNG(),
	} {
		runAll(t, name, s)
	}
}
