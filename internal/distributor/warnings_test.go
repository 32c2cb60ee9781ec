package distributor

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A start logs warnings.
func TestWarningsAreLogged(t *testing.T) {
	_, targets := threeScripted(t)
	config := quick(t, targets...)
	config.JetStream.Servers = "nats://n:4222"
	var log bytes.Buffer
	d, err := New(config, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.closeListeners()
	if !strings.Contains(log.String(), "NATS_URL has no effect with JOURNAL=memory") || strings.Contains(log.String(), "FORWARD_SHARED_KEY") {
		t.Errorf("logged %s", &log)
	}
}

// One replica is allowed, with a warning.
func TestWarningOfOneReplica(t *testing.T) {
	for replicas, want := range map[int]bool{1: true, 3: false} {
		config := DefaultConfig()
		config.Journal, config.JetStream.Servers, config.JetStream.Replicas = JournalJetStream, "nats://n:4222", replicas
		if got := strings.Join(config.Warnings(), "\n"); strings.Contains(got, "JETSTREAM_REPLICAS is 1") != want {
			t.Errorf("%d: %q", replicas, got)
		}
	}
}
