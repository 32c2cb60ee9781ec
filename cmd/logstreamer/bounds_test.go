package main

import (
	"slices"
	"strings"
	"testing"
)

// Each setting has bounds, and the error names it, the value and what is allowed.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ command, flag, value, want string }{
		{"analyzer", "port", "70000", `invalid value "70000" for flag -port: a port from 0 to 65535 is needed`},
		{"analyzer", "processing-delay-ms", "-1", "PROCESSING_DELAY_MS is -1ms: it must be 0 to 1m"},
		{"analyzer", "processing-delay-ms", "60001", "PROCESSING_DELAY_MS is 1m0.001s: it must be 0 to 1m"},
		{"analyzer", "max-body-bytes", "2GiB", "MAX_BODY_BYTES is 2147483648: it must be 1 to 1073741824"},
		{"analyzer", "max-packet-messages", "0", "MAX_PACKET_MESSAGES is 0: it must be 1 to 1073741824"},
		{"analyzer", "duplicate-window-packets", "0", "DUPLICATE_WINDOW_PACKETS is 0: it must be 1 to 10000000"},
		{"analyzer", "duplicate-window-sec", "0", "DUPLICATE_WINDOW_SEC is 0s: it must be 1ms to 24h"},
		{"emitter", "rate", "-1", "RATE is -1: it must be 0 (as fast as possible) or more"},
		{"emitter", "rate", "NaN", `invalid value "NaN" for flag -rate: a number is needed`},
		{"emitter", "concurrency", "0", "CONCURRENCY is 0: it must be 1 to 10000"},
		{"emitter", "concurrency", "10001", "CONCURRENCY is 10001: it must be 1 to 10000"},
		{"emitter", "duration", "-1s", "DURATION is -1s: it must be 0 (endless) or more"},
		{"emitter", "request-timeout", "0", "REQUEST_TIMEOUT is 0s: it must be more than 0"},
		{"emitter", "stop-timeout", "-1ns", "STOP_TIMEOUT is -1ns: it must be 0 or more"},
		{"demo", "rate", "-1", "RATE is -1: it must be 0 (as fast as possible) or more"},
		{"demo", "duration", "-1", "DURATION is -1s: it must be 0 or more"},
		{"demo", "kill-after", "-1s", "KILL_AFTER is -1s: it must be 0 (never) or more"},
		{"demo", "kill-duration", "0", "KILL_DURATION is 0s: it must be more than 0"},
		{"check", "ingest-buffer-size", "0", "INGEST_BUFFER_SIZE is 0: it must be at least 1"},
		{"check", "per-analyzer-queue-size", "0", "PER_ANALYZER_QUEUE_SIZE is 0: it must be at least 1"},
		{"check", "max-body-bytes", "0", "MAX_BODY_BYTES is 0: it must be 1 to 1073741824"},
		{"check", "max-packet-messages", "262145", "MAX_PACKET_MESSAGES is 262145: it must be 1 to 262144"},
		{"check", "sender-concurrency", "1025", "SENDER_CONCURRENCY is 1025: it must be 1 to 1024"},
		{"check", "sender-retries", "-1", "SENDER_RETRIES is -1: it must be 0 or more"},
		{"check", "sender-timeout-ms", "0", "SENDER_TIMEOUT_MS is 0s: it must be more than 0"},
		{"check", "health-check-interval-sec", "0", "HEALTH_CHECK_INTERVAL_SEC is 0s: it must be more than 0"},
		{"check", "health-check-timeout-sec", "0", "HEALTH_CHECK_TIMEOUT_SEC is 0s: it must be more than 0"},
		{"check", "max-failures", "0", "MAX_FAILURES is 0: it must be at least 1"},
		{"check", "slow-start-sec", "-1", "SLOW_START_SEC is -1s: it must be 0 or more"},
		{"check", "journal-max-bytes", "1MB", "JOURNAL_MAX_BYTES is 1000000: it must be at least 1 MiB"},
		{"check", "memory-limit-bytes", "0", "MEMORY_LIMIT_BYTES is 0: it must be at least 1"},
		{"check", "ack-timeout-ms", "0", "ACK_TIMEOUT_MS is 0s: it must be more than 0"},
		{"check", "rate-limit", "-1", "RATE_LIMIT is -1: it must be 0 (none) or more"},
		{"check", "rate-burst", "-1", "RATE_BURST is -1: it must be 0 (as much as RATE_LIMIT) or more"},
		{"check", "drain-sec", "-1", "DRAIN_SEC is -1s: it must be 0 or more"},
		{"check", "shutdown-timeout-sec", "-1", "SHUTDOWN_TIMEOUT_SEC is -1s: it must be 0 or more"},
		{"check", "data-dir", "", "DATA_DIR is : it must be a directory"},
	} {
		args := []string{c.command, "-" + c.flag + "=" + c.value}
		if c.command == "check" {
			args = append(args, "-analyzers=http://a=1")
		}
		code, stdout, stderr := invoke(t, args...)
		if code != exitUsage || stdout != "" || stderr != "logstreamer: "+c.want+"\n" {
			t.Errorf("%v: %d, %q, want %q", args, code, stderr, c.want)
		}
	}
}

// Combinations that cannot be are reported all at once.
func TestAllCombinationsAreReported(t *testing.T) {
	_, _, stderr := invoke(t, "check", "-analyzers=ftp://a=1,http://b=1,http://B=1", "-ack=stored", "-rate-burst=5", "-metrics-addr=:8080")
	for _, want := range []string{`"ftp://a" must look like`, `"http://B" is listed twice, as analyzer 2 and 3`, "ACK is stored", "RATE_BURST is 5", "METRICS_ADDR is"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q lacks %q", stderr, want)
		}
	}
}

// Requests that MAX_BODY_BYTES and INPUT_MAX_BODY_BYTES allow, and that may need more than there is,
// are reported; they do not stop the start.
func TestLargeBodiesAreReported(t *testing.T) {
	for arguments, want := range map[string]string{
		"-memory-limit-bytes=256MiB":                 "",
		"-memory-limit-bytes=255MiB":                 "INPUT_MAX_BODY_BYTES is 67108864: a request larger than 66846720 bytes may be refused with 413",
		"-memory-limit-bytes=1000000":                "MAX_BODY_BYTES is 10485760: a request larger than 333333 bytes may be refused with 413",
		"-journal=disk -journal-max-bytes=41MB":      "MAX_BODY_BYTES is 10485760: a request larger than 10250000 bytes may be refused with 413",
		"-journal=disk -journal-max-bytes=41943040":  "",
		"-journal=memory -journal-max-bytes=1048576": "",
	} {
		code, stdout, stderr := invoke(t, slices.Concat([]string{"check", "-analyzers=http://a=1", "-data-dir=" + t.TempDir()}, strings.Fields(arguments))...)
		if code != exitOK || !strings.Contains(stdout, want) || want == "" && strings.Contains(stdout, "refused with 413") {
			t.Errorf("%s: %d, %q, %q", arguments, code, stdout, stderr)
		}
	}
}

// Settings that others leave without effect are reported by check.
func TestWarningsAreReported(t *testing.T) {
	for arguments, want := range map[string]string{
		"-nats-url=nats://n:4222":                    "NATS_URL has no effect with JOURNAL=memory",
		"-forward-shared-key=k":                      "FORWARD_SHARED_KEY has no effect",
		"-forward-shared-key=k -inputs=http,forward": "",
	} {
		code, stdout, stderr := invoke(t, slices.Concat([]string{"check", "-analyzers=http://a=1", "-data-dir=" + t.TempDir()}, strings.Fields(arguments))...)
		if code != exitOK || !strings.Contains(stdout, want) || want == "" && strings.Contains(stdout, "no effect") {
			t.Errorf("%s: %d, %q, %q", arguments, code, stdout, stderr)
		}
	}
}

// What no running process can change needs a restart.
func TestRestartSettings(t *testing.T) {
	var restart []string
	for _, s := range distributorSettings() {
		if !s.Live {
			restart = append(restart, s.Env)
		}
	}
	if want := []string{"DISCOVERY_DNS", "PORT", "METRICS_ADDR", "LISTEN_ADDR", "INPUTS", "ELASTICSEARCH_VERSION", "FORWARD_SHARED_KEY", "EXPLAIN", "JOURNAL",
		"NATS_URL", "NATS_CREDS", "NATS_CA", "NATS_CERT", "NATS_KEY", "NATS_MONITOR_URL",
		"JETSTREAM_STREAM", "JETSTREAM_REPLICAS", "JETSTREAM_PARTITIONS", "JETSTREAM_MAX_BYTES", "DEDUPE_WINDOW_SEC", "DATA_DIR", "AUTOSCALE_COMMAND",
		"ADMIN_ADDR", "ADMIN_PERSIST", "CONFIG_WATCH"}; !slices.Equal(restart, want) {
		t.Errorf("%v, want %v", restart, want)
	}
}
