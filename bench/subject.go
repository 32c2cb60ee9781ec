//go:build linux

package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
)

// subject is a program that can run between the load and the analyzers.
type subject struct {
	// Name is the name in results.
	Name string
	// cores is the number of cores it runs on.
	cores int
	// ours is set for the distributor.
	ours bool
	// secure is set for a subject that the load reaches by TLS.
	secure bool
	// terminates is set for a subject that responds itself and forwards
	// nothing.
	terminates bool
	// traffic, unless nil, replaces the experiment's: the same messages in
	// another format.
	traffic *traffic
	// command returns the command that starts the subject.
	command func(subjectConfig) (*exec.Cmd, error)
	// twin, unless nil, returns the command of a second process of the subject, which gets as many
	// connections as the first. It runs on the second core, or, with a quota, on the first one.
	twin func(subjectConfig) (*exec.Cmd, error)
	// quota is the part of a core that each process of the subject may use; 0 is no limit.
	quota float64
	// companions, unless nil, returns the commands of programs that it needs, which start
	// before it.
	companions func(*subjectConfig) ([]*exec.Cmd, error)
	// alone, unless nil, measures a part of the work in this process, instead of a program.
	alone func(c *runningSubject, cores []int, length time.Duration) (Sample, error)
	// stream is set for a program without HTTP, which is ready when it accepts connections of
	// its input.
	stream bool
	// verify, unless nil, checks after the first packets that the subject does
	// what it is measured for.
	verify func(subjectConfig) error
}

// subjectConfig is what a subject's command line depends on.
type subjectConfig struct {
	port        int
	analyzers   []int // ports
	connections int   // of the load
	dir         string
	distributor string // the program's path
	inputs      string // INPUTS
	input       string // an input with a port of its own, or empty
	inputPort   int
	scheme      string // before the URLs of analyzers
	files       certificateFiles
	nats        []string // URLs
}

// loadPort returns the port that the load connects to.
func (p subjectConfig) loadPort() int {
	if p.input != "" {
		return p.inputPort
	}
	return p.port
}

// certificateFiles are the paths of a certificate, of its key, and of a file with both, in
// PEM; empty without TLS.
type certificateFiles struct{ cert, key, both string }

// writeCertificate writes a certificate of this machine.
func writeCertificate(dir string) (f certificateFiles, err error) {
	until := time.Now().Add(24 * time.Hour)
	ca, err := certificatetest.NewAuthority("bench", until)
	if err != nil {
		return f, err
	}
	pair, err := ca.Issue("subject", until)
	if err != nil {
		return f, err
	}
	f.both = filepath.Join(dir, "both.pem")
	if f.cert, f.key, err = pair.Write(dir, "subject"); err != nil {
		return f, err
	}
	return f, os.WriteFile(f.both, slices.Concat(pair.Cert, pair.Key), 0o600)
}

// shares are the analyzers' weights, repeated after the third.
var shares = [...]int{5, 3, 2}

// Names of subjects.
const (
	oursName       = "Log Streamer"
	diskName       = "Log Streamer, JOURNAL=disk"
	tracedName     = "Log Streamer, traced"
	streamsName    = "Log Streamer, JOURNAL=jetstream"
	threeName      = "Log Streamer, JOURNAL=jetstream, three servers"
	oursTLSName    = "Log Streamer, TLS"
	haproxyTLSName = "HAProxy, TLS"
	twoCoresName   = "Log Streamer, two cores"
	twoName        = "Log Streamer, two distributors"
	twoStreamsName = "Log Streamer, JOURNAL=jetstream, two distributors"
	quotaName      = "Log Streamer, quota"
	twoQuotaName   = "Log Streamer, two distributors, quota"
	haproxyName    = "HAProxy"
	nginxName      = "nginx"
	floorName      = "nginx, answers only"
	collectorName  = "OpenTelemetry Collector"
	vlagentName    = "vlagent"
	rsyslogName    = "rsyslog"
	syslogNGName   = "syslog-ng"
)

// unavailable is why a subject cannot run here.
type unavailable struct{ reason string }

func (u unavailable) Error() string { return u.reason }

func ours() subject { return distributor(oursName, 1, "memory") }

// traced returns the distributor with a traceparent of its own in each request of the load.
func traced(t traffic) subject {
	t.Traced = true
	s := ours()
	s.Name, s.traffic = tracedName, &t
	return s
}

// withTLS returns the subject with TLS between the load and it.
func withTLS(name string, s subject) subject {
	s.Name, s.secure = name, true
	return s
}

func oursOnTwoCores() subject { return distributor(twoCoresName, 2, "memory") }

// twice returns a subject with two processes of a distributor.
func twice(name string, s subject) subject {
	s.Name, s.twin = name, s.command
	return s
}

// withQuota returns the distributor with a quota, in cores.
func withQuota(quota float64) subject {
	s := ours()
	s.Name, s.quota = quotaName, quota
	return s
}

func oursOnDisk() subject {
	s := distributor(diskName, 1, "disk")
	s.verify = wroteJournal
	return s
}

func distributor(name string, cores int, journal string) subject {
	return subject{Name: name, cores: cores, ours: true, command: func(p subjectConfig) (*exec.Cmd, error) {
		var analyzers []string
		for i, port := range p.analyzers {
			analyzers = append(analyzers, fmt.Sprintf("%shttp://127.0.0.1:%d=%g", p.scheme, port, percent(i)*float64(len(shares))/float64(len(p.analyzers))/100))
		}
		command := exec.Command(p.distributor, "distributor")
		command.Env = append(os.Environ(),
			"GOMAXPROCS="+strconv.Itoa(cores),
			"ANALYZERS="+strings.Join(analyzers, ","),
			"PORT="+strconv.Itoa(p.port),
			"METRICS_ADDR=127.0.0.1:0",
			"ADMIN_ADDR=127.0.0.1:0",
			"INPUTS="+p.inputs,
			"JOURNAL="+journal,
			"DATA_DIR="+filepath.Join(p.dir, "data"),
			"LOG_LEVEL=warn",
			"TLS_CERT="+p.files.cert,
			"TLS_KEY="+p.files.key,
		)
		return command, nil
	}}
}

// wroteJournal verifies that a distributor with JOURNAL=disk writes a journal.
func wroteJournal(p subjectConfig) error {
	var written int64
	err := filepath.WalkDir(filepath.Join(p.dir, "data"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			written += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && written == 0 {
		return unavailable{"this distributor starts with JOURNAL=disk but keeps no journal in DATA_DIR"}
	}
	return err
}

func haproxy() subject {
	return subject{Name: haproxyName, cores: 1, command: func(p subjectConfig) (*exec.Cmd, error) {
		return peer(p, "haproxy", "haproxy.cfg", true, func(file string) []string { return []string{"-db", "-q", "-f", file} })
	}}
}

func nginx() subject {
	return subject{Name: nginxName, cores: 1, command: func(p subjectConfig) (*exec.Cmd, error) {
		return peer(p, "nginx", "nginx.conf", true, nginxArguments(p))
	}}
}

// floor is nginx that responds itself: the minimum cost of reading a request
// and responding.
func floor() subject {
	return subject{Name: floorName, cores: 1, terminates: true, command: func(p subjectConfig) (*exec.Cmd, error) {
		return peer(p, "nginx", "nginx.conf", false, nginxArguments(p))
	}}
}

func nginxArguments(p subjectConfig) func(string) []string {
	return func(file string) []string { return []string{"-p", p.dir, "-c", file, "-e", "stderr"} }
}

//go:embed templates
var templates embed.FS

// peer writes a peer's configuration and returns the command that starts it.
func peer(p subjectConfig, program, file string, forwards bool, arguments func(file string) []string) (*exec.Cmd, error) {
	path, err := lookPath(program)
	if err != nil {
		return nil, err
	}
	text, err := configuration(p, file, forwards)
	if err != nil {
		return nil, err
	}
	written := filepath.Join(p.dir, file)
	if err := os.WriteFile(written, text, 0o600); err != nil {
		return nil, err
	}
	return exec.Command(path, arguments(written)...), nil
}

// installHints has the command that installs a peer.
var installHints = map[string]string{
	"haproxy":     "Debian: apt-get install haproxy",
	"nginx":       "Debian: apt-get install nginx-light",
	"nats-server": "in the repository: go build -o bin/nats-server github.com/nats-io/nats-server/v2",
	"otelcol":     "in the repository: go -C bench/otelcol install",
	"vlagent":     "in the repository: go build -o bin/vlagent github.com/VictoriaMetrics/VictoriaLogs/app/vlagent",
	"rsyslogd":    "Debian: apt-get install rsyslog",
	"syslog-ng":   "Debian: apt-get install syslog-ng-core, or its packages, which conflict with rsyslog's, are unpacked to the directory in SYSLOG_NG",
}

// lookPath also looks where Debian and Go install programs, where the repository has its own, and
// where syslog-ng is unpacked.
func lookPath(program string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin", "bin", filepath.Join(build.Default.GOPATH, "bin"), filepath.Join(os.Getenv("SYSLOG_NG"), "/usr/sbin")} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", unavailable{program + " is not installed (" + installHints[program] + ")"}
}

// backend is an analyzer in a peer's configuration.
type backend struct{ Number, Port, Share, Percent int }

func configuration(p subjectConfig, file string, forwards bool) ([]byte, error) {
	parsed, err := template.ParseFS(templates, "templates/"+file)
	if err != nil {
		return nil, err
	}
	values := struct {
		Port, MaxConnections int
		Input                string
		InputPort            int
		Dir                  string
		Certificate          string // empty without TLS
		Forwards             bool
		Protobuf             bool
		Analyzers            []backend
	}{Port: p.port, Input: p.input, InputPort: p.inputPort, Dir: p.dir, Certificate: p.files.both, MaxConnections: 2*p.connections + 4*len(p.analyzers) + 256, Forwards: forwards, Protobuf: p.scheme != ""}
	for i, port := range p.analyzers {
		values.Analyzers = append(values.Analyzers, backend{i + 1, port, shares[i%len(shares)], int(percent(i))})
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, values)
	return text.Bytes(), err
}

// percent is the share of the analyzer at position i among three.
func percent(i int) float64 { return float64(10 * shares[i%len(shares)]) }
