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
	dir := t.TempDir()
	for i, content := range contents {
		path := filepath.Join(dir, fmt.Sprint(i, ".pem"))
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
	j, err := Open(t.Context(), c, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
	if err == nil {
		j.Close()
		t.Fatalf("the journal opens; want the error %q", want)
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

// A connection uses changed certificates, of another CA, without a restart.
func TestCertificatesAreReplaced(t *testing.T) {
	contents := func(name string) (all [][]byte) {
		ca, err := certificatetest.NewAuthority(name, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		of, err := ca.Issue("localhost", time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return [][]byte{ca.PEM, of.Cert, of.Key}
	}
	files := write(t, contents("first")...)
	s := natstest.Start(t, natstest.Options{More: fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: true}", files[1], files[2], files[0])})
	c := testConfig(strings.Replace(s.URL(), "127.0.0.1", "localhost", 1), s.Monitor())
	c.CA, c.Cert, c.Key = files[0], files[1], files[2]
	j := open(t, c)
	put(t, j, 0, 1)
	s.Stop()
	until(t, "the loss is noticed", func() bool { return j.CheckCapacity(100) != nil })
	for i, content := range contents("second") {
		if err := os.WriteFile(files[i], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Restart()
	until(t, "packets are taken again", func() bool { return j.CheckCapacity(100) == nil })
	put(t, j, 1, 1)
	j.Ack(get(t, j, 2))
}

// A wrong password makes the start fail.
func TestPasswords(t *testing.T) {
	s := natstest.Start(t, natstest.Options{More: "authorization {user: me, password: secret}"})
	c := testConfig(strings.Replace(s.URL(), "//", "//me:secret@", 1), s.Monitor())
	j := open(t, c)
	put(t, j, 0, 1)
	j.Ack(get(t, j, 1))
	c.Servers = natslink.Servers(strings.Replace(s.URL(), "//", "//me:secret2@", 1))
	failsToOpen(t, c, "Authorization Violation")
}

// Without JetStream the error says so.
func TestServerWithoutJetStream(t *testing.T) {
	s := natstest.Start(t, natstest.Options{More: "accounts {A {users: [{user: me, password: secret}]}}"})
	c := testConfig(strings.Replace(s.URL(), "//", "//me:secret@", 1), s.Monitor())
	if _, err := Check(t.Context(), c); err == nil || !strings.Contains(err.Error(), "JetStream") && !strings.Contains(err.Error(), "jetstream") {
		t.Errorf("%v", err)
	}
	failsToOpen(t, c, "not enabled")
}

// noWaiter is a Waiter that does nothing.
type noWaiter struct{}

func (noWaiter) OnCommit(error) {}

// After all servers were down, packets are refused at once until the streams answer, even if a
// server accepts connections before that.
func TestStreamsReturnAfterTheServer(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	j := open(t, testConfig(s.URL(), s.Monitor()))
	put(t, j, 0, 1)
	s.Pause()
	j.connectionChanged(false, errors.New("no server"))
	j.connectionChanged(true, nil)
	var packets journaltest.Packets
	taken, _, err := j.AppendAsync([]*packet.Packet{packets.Make(t, "emitter", "1", 300)}, noWaiter{})
	s.Resume()
	if taken != 0 || !errors.Is(err, journal.ErrUnwritable) {
		t.Errorf("%d packets wait for streams that do not answer: %v", taken, err)
	}
	until(t, "the streams take packets again", func() bool {
		taken, _ := j.Append([]*packet.Packet{packets.Make(t, "emitter", "2", 300)})
		return taken == 1
	})
}

// A server whose maximum message size is too small is refused; a server with one below the default
// is not.
func TestMaxPayload(t *testing.T) {
	for _, c := range []struct {
		max  int64
		want string
	}{{minMaxPayload - 1, "its max_payload must be at least 32768"}, {minMaxPayload, ""}} {
		s := natstest.Start(t, natstest.Options{More: fmt.Sprintf("max_payload: %d", c.max)})
		config := testConfig(s.URL(), s.Monitor())
		report, checked := Check(t.Context(), config)
		j, opened := Open(t.Context(), config, Dependencies{Logger: slog.New(slog.DiscardHandler), Pool: &packet.Pool{}})
		if opened == nil {
			_ = j.Close()
		}
		for _, err := range []error{checked, opened} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || report.MaxPayload != c.max {
				t.Errorf("%d: %v, %d", c.max, err, report.MaxPayload)
			}
		}
	}
}
