package distributor

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A start logs the settings that have no effect.
func TestIneffectiveSettingsAreLogged(t *testing.T) {
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
