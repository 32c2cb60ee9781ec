package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// mistyped returns the warnings of a role.
func mistyped(t *testing.T, role string, getenv func(string) (string, bool), environ ...string) []string {
	t.Helper()
	p := process{usage: new(bytes.Buffer), names: make(map[string]bool), getenv: getenv}
	commands(p)
	switch role {
	case "distributor":
		return newDistributorLoader(p).MistypedVariables(environ, p.names)
	case "emitter":
		return newEmitterLoader(p).MistypedVariables(environ, p.names)
	}
	t.Fatal(role)
	return nil
}

func unset(string) (string, bool) { return "", false }

func TestMistypedVariables(t *testing.T) {
	for _, c := range []struct{ role, variable, intended string }{
		{"distributor", "JOURNALL=disk", "JOURNAL"},
		{"distributor", "JORUNAL=disk", "JOURNAL"},
		{"distributor", "journal=disk", "JOURNAL"},
		{"distributor", "ANALYSERS=http://a=1", "ANALYZERS"},
		{"distributor", "ANALYZER=http://a=1", "ANALYZERS"},
		{"distributor", "SENDER_RETRY=3", "SENDER_RETRIES"},
		{"distributor", "SENDER_TIMEOUT=3", "SENDER_TIMEOUT_MS"},
		{"distributor", "SENDER_TIMEOUT_SEC=3", "SENDER_TIMEOUT_MS"},
		{"distributor", "HEALTH_CHECK_INTERVAL=3", "HEALTH_CHECK_INTERVAL_SEC"},
		{"distributor", "MAX_BODY_SIZE=3", "MAX_BODY_BYTES"},
		{"distributor", "INGEST_BUFFER=3", "INGEST_BUFFER_SIZE"},
		{"distributor", "METRICS_ADDRESS=:9", "METRICS_ADDR"},
		{"distributor", "LISTEN_ADDRESS=::1", "LISTEN_ADDR"},
		{"distributor", "DATADIR=x", "DATA_DIR"},
		{"distributor", "PROT=8080", "PORT"},
		{"distributor", "SHDE=x", "SHED"},
		{"distributor", "LOGSTREAMER_PORT=8080", "PORT"},
		{"distributor", "LOGSTREAMER_JOURNAL=disk", "JOURNAL"},
		{"emitter", "CONCURENCY=5", "CONCURRENCY"},
		{"emitter", "TARGET_URI=x", "TARGET_URL"},
		{"emitter", "PACKETSIZE=5", "PACKET_SIZE"},
	} {
		want := []string{strings.SplitN(c.variable, "=", 2)[0] + " is set and not known; did you mean " + c.intended + "?"}
		if got := mistyped(t, c.role, unset, c.variable); !slices.Equal(got, want) {
			t.Errorf("%s: %q: %q, want %q", c.role, c.variable, got, want)
		}
	}
}

// Variables of ordinary environments are not reported.
func TestForeignVariablesAreIgnored(t *testing.T) {
	for _, role := range []string{"distributor", "emitter"} {
		for name, environ := range map[string]string{"shell": shellEnvironment, "pod": podEnvironment, "unit": unitEnvironment} {
			if got := mistyped(t, role, unset, strings.Split(strings.TrimSpace(environ), "\n")...); len(got) > 0 {
				t.Errorf("%s in a %s: %q", role, name, got)
			}
		}
	}
}

// On a system with case-insensitive names the setting is set.
func TestCaseInsensitiveEnvironment(t *testing.T) {
	getenv := func(name string) (string, bool) { return "disk", strings.EqualFold(name, "JOURNAL") }
	if got := mistyped(t, "distributor", getenv, "Journal=disk"); len(got) > 0 {
		t.Error(got)
	}
}

const shellEnvironment = `
SHELL=/bin/bash
PWD=/home/me
OLDPWD=/
LOGNAME=me
HOME=/home/me
HOST=box
HOSTNAME=box
HOSTTYPE=x86_64
OSTYPE=linux-gnu
LANG=de_DE.UTF-8
LC_ALL=C
TERM=xterm
TERM_PROGRAM=iTerm
COLORTERM=truecolor
USER=me
USERNAME=me
MAIL=/var/mail/me
EDITOR=vi
VISUAL=vi
PAGER=less
LESS=-R
SHLVL=1
DISPLAY=:0
PATH=/usr/bin
MANPATH=/usr/share/man
INFOPATH=/usr/share/info
GOPATH=/go
GOROOT=/usr/local/go
GOMEMLIMIT=900MiB
GOMAXPROCS=2
GOGC=100
GODEBUG=x
CGO_ENABLED=0
XDG_DATA_DIRS=/usr/share
XDG_DATA_HOME=/x
XDG_RUNTIME_DIR=/run/user/1000
XDG_SESSION_ID=3
SSH_AUTH_SOCK=/tmp/x
SSH_CONNECTION=a
SSH_TTY=/dev/pts/1
DBUS_SESSION_BUS_ADDRESS=unix:path=/run
http_proxy=http://p:1
HTTPS_PROXY=http://p:1
NO_PROXY=localhost
no_proxy=localhost
PORTS=8080
PORT_RANGE=1-2
RATE_PLAN=gold
RATES=1
PS1=$
TZ=UTC
_=/usr/bin/env
LS_COLORS=x
TMPDIR=/tmp
TMUX=/tmp/tmux
EMAIL=me
DATE=today
STATE=x
SHARE=x
FILES=x
PROFILE=x
PACK=x
BACK=1
JAVA_HOME=/j
WEB_CONCURRENCY=4
BUNDLE_PATH=x
COMPOSE_PROJECT_NAME=x
DOCKER_HOST=unix://x
CI=true
GITHUB_ACTIONS=true
LOG_FILE=x
LOG_DIR=x
LOG_PATH=x
DATA_PATH=x
`

const podEnvironment = `
KUBERNETES_PORT=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
KUBERNETES_PORT_443_TCP_PORT=443
KUBERNETES_PORT_443_TCP_PROTO=tcp
KUBERNETES_SERVICE_HOST=10.96.0.1
KUBERNETES_SERVICE_PORT=443
KUBERNETES_SERVICE_PORT_HTTPS=443
ANALYZER_1_PORT=tcp://10.96.0.2:9001
ANALYZER_1_PORT_9001_TCP=tcp://10.96.0.2:9001
ANALYZER_1_PORT_9001_TCP_ADDR=10.96.0.2
ANALYZER_1_PORT_9001_TCP_PORT=9001
ANALYZER_1_PORT_9001_TCP_PROTO=tcp
ANALYZER_1_SERVICE_HOST=10.96.0.2
ANALYZER_1_SERVICE_PORT=9001
ANALYZER_1_SERVICE_PORT_HTTP=9001
ANALYZER_PORT=tcp://10.96.0.4:9001
ANALYZERS_PORT=tcp://10.96.0.4:9001
ANALYZERS_SERVICE_HOST=10.96.0.4
LOGSTREAMER_PORT=tcp://10.96.0.3:8080
LOGSTREAMER_SERVICE_HOST=10.96.0.3
LOGSTREAMER_SERVICE_PORT=8080
LOGSTREAMER_SERVICE_PORT_METRICS=9100
DISTRIBUTOR_PORT=tcp://10.96.0.3:8080
DISTRIBUTOR_PORT_8080_TCP_ADDR=10.96.0.3
JOURNAL_PORT=tcp://10.96.0.5:1
JOURNAL_SERVICE_HOST=10.96.0.5
RATE_LIMITER_PORT=tcp://10.96.0.6:1
RATE_LIMIT_PORT=udp://10.96.0.6:1
RATE_LIMIT_SERVICE_HOST=10.96.0.6
PORT_SERVICE_HOST=10.96.0.6
HOSTNAME=distributor-0
POD_NAME=distributor-0
POD_NAMESPACE=logs
POD_IP=10.0.0.9
HOST_IP=10.0.0.1
NODE_NAME=n1
CPU_LIMIT=2
MEMORY_LIMIT=1073741824
MEMORY_REQUEST=1073741824
CONTAINER_NAME=x
container=oci
HOME=/
PATH=/bin
`

const unitEnvironment = `
INVOCATION_ID=8f
JOURNAL_STREAM=8:12345
SYSTEMD_EXEC_PID=1
NOTIFY_SOCKET=/run/x
WATCHDOG_USEC=1
LISTEN_FDS=1
LISTEN_PID=1
LISTEN_FDNAMES=x
STATE_DIRECTORY=/var/lib/x
CACHE_DIRECTORY=/var/cache/x
LOGS_DIRECTORY=/var/log/x
RUNTIME_DIRECTORY=/run/x
CREDENTIALS_DIRECTORY=/run/c
MAINPID=1
PIDFILE=/run/x.pid
MEMORY_PRESSURE_WATCH=/sys
LANG=C.UTF-8
PATH=/usr/bin
USER=logstreamer
`
