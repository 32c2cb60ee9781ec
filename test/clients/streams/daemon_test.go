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

// sender is a daemon that sends the lines of a file.
type sender struct {
	input string // of the distributor
	// config returns the daemon's configuration, for files of a directory: in.log has the lines, and
	// ca.crt the distributor's authority.
	config  func(dir, host, port string) string
	command func(t *testing.T, dir string) *exec.Cmd
	// env are settings of the distributor.
	env []string
	tls bool
	// emitter and metadata are the expected ones of the messages.
	emitter  string
	metadata map[string]string
}

// start starts the daemon and returns the file that it reads.
func (s sender) start(t *testing.T, dir, address string) (file string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(s.config(dir, host, port)), 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	command := s.command(t, dir)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s: %s", command.Path, output.String())
		}
	})
	return filepath.Join(dir, "in.log")
}

// distributor starts a distributor with the settings that the sender needs.
func (s sender) distributor(t *testing.T, dir string, env []string) *harness.Distributor {
	t.Helper()
	env = append(env, s.env...)
	if s.tls {
		env = append(env, harness.ServeTLS(t, dir)...)
	}
	return harness.Start(t, []string{s.input}, env...)
}

// appendLines appends lines to a file.
func appendLines(t *testing.T, file string, lines []string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
}

// run sends half of the messages, disturbs the daemon, and sends the others.
func (s sender) run(t *testing.T, happens harness.Disturbance) {
	dir := t.TempDir()
	d := s.distributor(t, dir, happens.Env)
	start := time.Now().Add(-2 * time.Second).UnixMilli()
	file := s.start(t, dir, d.Addresses[s.input])
	all := texts()
	appendLines(t, file, all[:messages/2])
	d.Analyzer.AwaitAll(t, "m-", all[:1])
	happens.Happen(d)
	appendLines(t, file, all[messages/2:])
	switch {
	case happens.Name == "killed" && s.input != "elasticsearch", strings.HasPrefix(t.Name(), "TestSyslogNG/TLS/upgraded"): // nothing is acknowledged
		d.Analyzer.AwaitAll(t, "m-", all[messages-1:])
		d.Stop()
	case happens.Name == "killed":
		d.Analyzer.AwaitAll(t, "m-", all)
	default:
		d.Analyzer.AwaitOnce(t, "m-", all)
	}
	counts := d.Analyzer.Counts("m-")
	t.Logf("%d of %d arrived, %d twice", len(counts), messages, len(d.Analyzer.Messages())-len(counts))
	for _, m := range d.Analyzer.Messages() {
		if m.EmitterID != s.emitter || m.Level != "ERROR" || m.Timestamp < start {
			t.Fatalf("from %d, got %+v", start, m)
		}
		for key, value := range s.metadata {
			if m.Metadata[key] != value {
				t.Fatalf("%s is not %q: %+v", key, value, m)
			}
		}
	}
}

func hostname() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(name, ".")
	return name
}

// rsyslog returns rsyslogd with a module and an action, in which HOST and PORT are replaced.
func rsyslog(input, module, action string) sender {
	return sender{
		input: input, emitter: hostname(), metadata: map[string]string{"appname": "app", "facility": "local0"},
		config: func(dir, host, port string) string {
			authority := ""
			if ca := filepath.Join(dir, "ca.crt"); strings.Contains(action, "gtls") {
				authority = fmt.Sprintf("defaultNetstreamDriverCAFile=%q", ca)
			}
			action := strings.NewReplacer("HOST", host, "PORT", port).Replace(action)
			return fmt.Sprintf(`global(workDirectory=%q %s)
module(load="imfile")
%s
input(type="imfile" file=%q tag="app:" severity="error" facility="local0")
action(%s action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="linkedList")
`, dir, authority, module, filepath.Join(dir, "in.log"), action)
		},
		command: func(t *testing.T, dir string) *exec.Cmd {
			return exec.Command(program(t, "rsyslogd"), "-n", "-f", filepath.Join(dir, "config"), "-i", filepath.Join(dir, "pid"))
		},
	}
}

// forward is omfwd to the distributor.
const forward = `type="omfwd" target="HOST" port="PORT" `

func withTLS(s sender) sender {
	s.tls = true
	return s
}

// bulk is rsyslog's omelasticsearch, whose documents have times, or not.
func bulk() sender {
	s := rsyslog("elasticsearch", `module(load="omelasticsearch")
template(name="document" type="list") {
  constant(value="{") property(name="timereported" outname="@timestamp" dateFormat="rfc3339" format="jsonf")
  constant(value=",") property(name="msg" outname="message" format="jsonf")
  constant(value=",") property(name="syslogseverity-text" outname="severity" format="jsonf")
  constant(value=",") property(name="hostname" outname="host" format="jsonf")
  constant(value="}")
}`, `type="omelasticsearch" server="HOST" serverport="PORT" searchIndex="logs" searchType="" bulkmode="on" template="document"`)
	s.emitter, s.metadata = "logs/"+hostname(), map[string]string{"es.index": "logs", "input": "elasticsearch"}
	return s
}

var rsyslogs = map[string]sender{
	"TCP, RFC 5424": rsyslog("syslog-tcp", "", forward+`protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"`),
	"TCP, RFC 3164": rsyslog("syslog-tcp", "", forward+`protocol="tcp" template="RSYSLOG_TraditionalForwardFormat"`),
	"UDP":           rsyslog("syslog-udp", "", forward+`protocol="udp" template="RSYSLOG_ForwardFormat"`),
	"TLS": withTLS(rsyslog("syslog-tls", "", forward+`protocol="tcp" tcp_framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"
  StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="distributor"`)),
	"omelasticsearch": bulk(),
}

func TestRsyslog(t *testing.T) {
	program(t, "rsyslogd")
	for name, s := range rsyslogs {
		runAll(t, name, s)
	}
}

// modules are the modules of rsyslog that have packages of their own.
var modules = map[string]string{"TLS": "lmnsd_gtls.so", "omelasticsearch": "omelasticsearch.so"}

func runAll(t *testing.T, name string, s sender) {
	t.Helper()
	for _, happens := range harness.Disturbances() {
		t.Run(name+"/"+happens.Name, func(t *testing.T) {
			t.Parallel()
			if module := modules[name]; module != "" && strings.HasPrefix(t.Name(), "TestRsyslog/") {
				if found, _ := filepath.Glob("/usr/lib/*/rsyslog/" + module); len(found) == 0 {
					t.Skip("rsyslog's module " + module + " is not installed")
				}
			}
			if s.input == "syslog-udp" && happens.Name != "hangs" && happens.Name != "usual" {
				t.Skip("datagrams are dropped without room")
			}
			s.run(t, happens)
		})
	}
}
