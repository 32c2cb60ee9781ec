package jetstream

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/journal/journaltest"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// write writes files into a directory and returns their paths.
func write(t *testing.T, contents ...[]byte) (paths []string) {
	t.Helper()
	folder := t.TempDir()
	for i, content := range contents {
		path := filepath.Join(folder, fmt.Sprint(i, ".pem"))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// failsToOpen checks that a start is refused at once, with a reason and without the password.
func failsToOpen(t *testing.T, c Config, want string) {
	t.Helper()
	j, err := Open(t.Context(), c, Deps{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
	if err == nil {
		j.Close()
		t.Fatalf("it starts; want %q", want)
	}
	if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "secret") || strings.Contains(text, "\n") {
		t.Errorf("%q lacks %q", text, want)
	}
}

// The connection is encrypted, and both sides have certificates.
func TestTLS(t *testing.T) {
	ca, err := certificatetest.NewAuthority("ca", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other, err := certificatetest.NewAuthority("other", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue("localhost", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	files := write(t, ca.PEM, other.PEM, server.Cert, server.Key)
	s := natstest.Start(t, natstest.Options{More: fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: true}", files[2], files[3], files[0])})
	c := testConfig(strings.Replace(s.URL(), "127.0.0.1", "localhost", 1), s.Monitor())
	c.CA, c.Cert, c.Key = files[0], files[2], files[3]
	j := open(t, c)
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
	c.CA = files[1]
	failsToOpen(t, c, "unknown authority")
	c.CA = files[0] + "-gone"
	failsToOpen(t, c, "NATS_CA")
}

// A wrong password stops the start.
func TestPasswords(t *testing.T) {
	s := natstest.Start(t, natstest.Options{More: "authorization {user: me, password: secret}"})
	c := testConfig(strings.Replace(s.URL(), "//", "//me:secret@", 1), s.Monitor())
	j := open(t, c)
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
	c.Servers = natslink.Servers(strings.Replace(s.URL(), "//", "//me:secret2@", 1))
	failsToOpen(t, c, "Authorization Violation")
}

// Without JetStream the reason is said.
func TestServerWithoutJetStream(t *testing.T) {
	s := natstest.Start(t, natstest.Options{More: "accounts {A {users: [{user: me, password: secret}]}}"})
	c := testConfig(strings.Replace(s.URL(), "//", "//me:secret@", 1), s.Monitor())
	if _, err := Check(t.Context(), c); err == nil || !strings.Contains(err.Error(), "JetStream") && !strings.Contains(err.Error(), "jetstream") {
		t.Errorf("%v", err)
	}
	failsToOpen(t, c, "not enabled")
}

// After all servers were away, packets are refused at once until the streams answer, although
// a server takes connections before.
func TestStreamsReturnAfterTheServer(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	j := open(t, testConfig(s.URL(), s.Monitor()))
	put(t, j, 0, 1)
	s.Pause()
	j.connectionChanged(false, errors.New("no server"))
	j.connectionChanged(true, nil)
	var packets journaltest.Packets
	taken, _, err := j.AppendAsync([]*packet.Packet{packets.Make(t, "emitter", "1", 300)}, make(syncWaiter, 1))
	s.Resume()
	if taken != 0 || !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("%d packets wait for streams that do not answer: %v", taken, err)
	}
	until(t, "the streams take packets again", func() bool {
		taken, _ := j.Append([]*packet.Packet{packets.Make(t, "emitter", "2", 300)})
		return taken == 1
	})
}
