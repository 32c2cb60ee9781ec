package intake

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Clients without a valid token are in the log by their addresses, one line in ten seconds.
func TestUnauthorizedClientsAreLogged(t *testing.T) {
	var log bytes.Buffer
	u := unauthorizedClients{logger: slog.New(slog.NewTextHandler(&log, nil))}
	for second := range 15 {
		u.add(netip.AddrFrom4([4]byte{10, 0, 0, byte(second)}), noon.Add(time.Duration(second)*time.Second))
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "requests=1 address=10.0.0.0") || !strings.Contains(lines[1], "requests=10 address=10.0.0.10") {
		t.Errorf("%s", log.String())
	}
}
