//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// collector forwards to the first analyzer only, since load balancing is not in
// its core, and responds 200 before it does. Its JSON output equals its input
// byte for byte when the load orders members as it does.
func collector(t traffic) subject {
	t.OTLP = true
	return subject{Name: collectorName, cores: 1, traffic: &t, command: func(p subjectConfig) (*exec.Cmd, error) {
		command, err := peer(p, "otelcol", "otelcol.yaml", true, func(file string) []string { return []string{"--config", file} })
		return onOneThread(command), err
	}}
}

// onOneThread has a program in Go run on one thread.
func onOneThread(command *exec.Cmd) *exec.Cmd {
	if command != nil {
		command.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	return command
}

// vlagent forwards to the first analyzer, as to VictoriaLogs: in blocks of up to 8 MiB of rows,
// compressed with zstd, or after a second.
func vlagent(f *recordFormat) subject {
	return subject{Name: vlagentName, cores: 1, traffic: &traffic{Records: f}, command: func(p subjectConfig) (*exec.Cmd, error) {
		path, err := lookPath("vlagent")
		if err != nil {
			return nil, err
		}
		command := exec.Command(path, fmt.Sprintf("-httpListenAddr=127.0.0.1:%d", p.port), "-tmpDataPath="+p.dir, "-loggerLevel=WARN",
			fmt.Sprintf("-remoteWrite.url=http://127.0.0.1:%d/insert/native", p.analyzers[0]))
		if p.inputPort > 0 {
			command.Args = append(command.Args, fmt.Sprintf("-syslog.listenAddr.tcp=127.0.0.1:%d", p.inputPort))
		}
		return onOneThread(command), nil
	}}
}

// rsyslog forwards syslog over TCP to the first analyzer.
func rsyslog(f *recordFormat) subject {
	return subject{Name: rsyslogName, cores: 1, stream: true, traffic: &traffic{Records: f}, command: func(p subjectConfig) (*exec.Cmd, error) {
		return peer(p, "rsyslogd", "rsyslog.conf", true, func(file string) []string {
			return []string{"-n", "-C", "-f", file, "-i", filepath.Join(p.dir, "pid")}
		})
	}}
}

// syslogNG forwards syslog over TCP to the first analyzer. Debian's packages conflict with those
// of rsyslog: SYSLOG_NG may be a directory where they are unpacked.
func syslogNG(f *recordFormat) subject {
	return subject{Name: syslogNGName, cores: 1, stream: true, traffic: &traffic{Records: f}, command: func(p subjectConfig) (*exec.Cmd, error) {
		command, err := peer(p, "syslog-ng", "syslog-ng.conf", true, func(file string) []string {
			in := func(name string) string { return filepath.Join(p.dir, name) }
			return []string{"-F", "--no-caps", "-f", file, "-p", in("pid"), "-c", in("control"), "-R", in("persist")}
		})
		if err != nil {
			return nil, err
		}
		command.Env = append(os.Environ(), "TZ=UTC")
		return unpackedSyslogNG(command), nil
	}}
}

// unpackedSyslogNG has syslog-ng find its modules and libraries in SYSLOG_NG.
func unpackedSyslogNG(command *exec.Cmd) *exec.Cmd {
	root := os.Getenv("SYSLOG_NG")
	if root == "" {
		return command
	}
	in := func(pattern string) string {
		found, _ := filepath.Glob(filepath.Join(root, pattern)) // fails for malformed patterns only
		return strings.Join(found, ":")
	}
	command.Args = append(command.Args, "--module-path", in("usr/lib/syslog-ng/[0-9]*"))
	command.Env = append(command.Environ(), "LD_LIBRARY_PATH="+in("usr/lib/*-linux-gnu")+":"+in("lib/*-linux-gnu")+":"+in("usr/lib/syslog-ng"))
	return command
}

// versionOf returns the version of a peer, and whether it is there.
func versionOf(program string) (version string, ok bool) {
	path, err := lookPath(program)
	if err != nil {
		return "", false
	}
	if program == "vlagent" { // which has none unless it is linked into it
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return "", false
		}
		return strings.TrimPrefix(info.Main.Version, "v"), true
	}
	command := exec.Command(path, map[string]string{"haproxy": "-v", "nginx": "-v", "otelcol": "--version", "rsyslogd": "-v", "syslog-ng": "-V"}[program])
	if program == "syslog-ng" {
		command = unpackedSyslogNG(command)
	}
	output, err := command.CombinedOutput()
	return firstNumber(string(output)), err == nil
}
