package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/journal/jetstream"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// storePackets appends three packets to the streams.
func storePackets(t *testing.T, url string) {
	t.Helper()
	c := jetstream.DefaultConfig()
	c.Servers, c.Replicas, c.MemoryLimitBytes = natslink.Servers(url), 1, 64<<20
	j, err := jetstream.Open(t.Context(), c, jetstream.Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: new(packet.Pool)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var packets journaltest.Packets
	for i := range 3 {
		if _, err := j.Append([]*packet.Packet{packets.Make(t, "web-1", fmt.Sprint(i), 100)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Commands read the streams, and check connects to NATS.
func TestStreams(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	nats := []string{"-nats-url=" + server.URL(), "-nats-monitor-url=" + server.Monitor(), "-journal=jetstream", "-jetstream-replicas=1"}
	run := func(command ...string) (code int, stdout, stderr string) {
		t.Helper()
		return invoke(t, append(command, nats...)...)
	}
	check := []string{"check", "-analyzers=http://a=1", "-data-dir=" + t.TempDir()}
	code, stdout, stderr := run(check...)
	if code != exitOK || !strings.Contains(stdout, "LOGSTREAMER-2  missing: a start makes it") || !strings.Contains(stdout, "survive a crash of the NATS server, and a power failure of it") {
		t.Errorf("%d %s\n%s", code, stderr, stdout)
	}
	if !strings.Contains(stdout, "JETSTREAM_REPLICAS is 1: accepted packets are lost with the disk of their NATS server") {
		t.Errorf("no warning in\n%s", stdout)
	}
	for _, command := range []string{"inspect", "verify", "export"} {
		if code, _, stderr := run("journal", command); code != exitFailed || !strings.Contains(stderr, "there is no stream LOGSTREAMER-0: JETSTREAM_STREAM") {
			t.Errorf("%s without streams: %d %s", command, code, stderr)
		}
	}
	if code, _, stderr := invoke(t, slices.Concat(check, nats, []string{"-jetstream-replicas=3"})...); code != exitFailed || !strings.Contains(stderr, "LOGSTREAMER-0 cannot be made: the NATS server is in no cluster: JETSTREAM_REPLICAS is 3") {
		t.Errorf("three replicas of one server: %d %s", code, stderr)
	}
	storePackets(t, server.URL())
	for command, want := range map[string]string{
		"inspect":       `undelivered +3 packets, 6 messages, \d+ bytes`,
		"verify":        `lost +0 packets`,
		"inspect -json": `(?s)"current_replicas": 1.*"packets": 3,`,
		"export":        `(?s)^(\{"emitter_id":"web-1".*\n){3}$`,
	} {
		code, stdout, stderr := run(append([]string{"journal"}, strings.Fields(command)...)...)
		if code != exitOK || !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("%s: %d %s lacks %q:\n%s", command, code, stderr, want, stdout)
		}
	}
	if code, stdout, _ := run(append(check, "-preflight")...); code != exitOK {
		t.Errorf("preflight: %d %s", code, stdout)
	}
	server.Kill()
	for _, command := range [][]string{check, append(check, "-preflight"), {"journal", "inspect"}} {
		if code, _, stderr := run(command...); code == exitOK || !strings.Contains(stderr, "NATS_URL "+server.URL()) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("without NATS %q: %d %s", command, code, stderr)
		}
	}
}

// Dead letters are in DATA_DIR whatever the journal is.
func TestDeadLettersWithStreams(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, deadletter.Dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := invoke(t, "journal", "export", "-journal=jetstream", "-dead-letters", "-data-dir="+dir); code != exitOK {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestStreamSettings(t *testing.T) {
	code, _, stderr := invoke(t, "check", "-analyzers=http://a=1", "-journal=jetstream", "-jetstream-replicas=2")
	for _, want := range []string{"NATS_URL is required", "JETSTREAM_REPLICAS is 2"} {
		if code == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%d %s lacks %q", code, stderr, want)
		}
	}
}
