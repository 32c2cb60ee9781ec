package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/test/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(url string, replicas int) Config {
	return Config{Config: natslink.Config{Servers: natslink.Servers(url)}, Name: "TEST", Replicas: replicas}
}

// open opens a cluster that the test closes.
func open(t *testing.T, c Config) *Cluster {
	t.Helper()
	opened, err := Open(c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func latest(s *Settings) string {
	text, version, err := s.Latest()
	return fmt.Sprintf("%s %v %v", text, version > 0, err)
}

// A text replaces the text that it was made from, and all distributors soon know it.
func TestSettings(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	config := testConfig(server.URL(), 1)
	a, b := open(t, config).Settings(), open(t, config).Settings()
	if got := latest(a); got != " false <nil>" {
		t.Fatal(got)
	}
	first, err := a.Replace(t.Context(), []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the other knows it", func() bool { return latest(b) == "one true <nil>" })
	if _, err := b.Replace(t.Context(), []byte("two"), 0); !errors.Is(err, control.ErrReplaced) {
		t.Error(err)
	}
	if _, err := b.Replace(t.Context(), []byte("two"), first); err != nil {
		t.Error(err)
	}
	if _, err := a.Replace(t.Context(), []byte("three"), first); !errors.Is(err, control.ErrReplaced) || latest(a) != "two true <nil>" {
		t.Errorf("%v, %s", err, latest(a))
	}
	if err := a.bucketOf(t).Delete(t.Context(), settingsKey); err != nil {
		t.Fatal(err)
	}
	until(t, "both distributors know that the text was deleted", func() bool { return latest(a) == " false <nil>" && latest(b) == " false <nil>" })
	if _, err := b.Replace(t.Context(), []byte("four"), 0); err != nil {
		t.Error(err)
	}
	until(t, "the other knows it", func() bool { return latest(a) == "four true <nil>" })
	if _, err := a.Replace(t.Context(), make([]byte, 1<<20), first); err == nil || !strings.Contains(err.Error(), "max_payload") {
		t.Error(err)
	}
}

// Of several texts that replace the same text at once, one is stored.
func TestSettingsReplacedAtOnce(t *testing.T) {
	servers := natstest.StartCluster(t, 3, natstest.Options{})
	config := testConfig(servers.URL(), 3)
	all := []*Settings{open(t, config).Settings(), open(t, config).Settings(), open(t, config).Settings()}
	version, err := all[0].Replace(t.Context(), []byte("start"), 0)
	until(t, "the bucket has a leader", func() bool {
		if err != nil {
			version, err = all[0].Replace(t.Context(), []byte("start"), 0)
		}
		return err == nil
	})
	for round := range 10 {
		var mu sync.Mutex // guards won
		var won []uint64
		var replacing sync.WaitGroup
		for i, s := range all {
			replacing.Go(func() {
				next, err := s.Replace(t.Context(), fmt.Appendf(nil, "%d-%d", round, i), version)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, next)
				} else if _, now, _ := s.Latest(); !errors.Is(err, control.ErrReplaced) || now <= version {
					t.Error(err)
				}
			})
		}
		replacing.Wait()
		if len(won) != 1 {
			t.Fatalf("%d won", len(won))
		}
		version = won[0]
	}
}

// Without a server no text is known or replaced, until a server is back. A known text stays known,
// with the reason why it may be outdated. A bucket that is lost is empty.
func TestSettingsWithoutServer(t *testing.T) {
	server := natstest.New(t, natstest.Options{})
	s := open(t, testConfig(server.URL(), 1)).Settings()
	if got := latest(s); !strings.Contains(got, "no NATS server can be reached") {
		t.Error(got)
	}
	if _, err := s.Replace(t.Context(), []byte("one"), 0); err == nil || errors.Is(err, control.ErrReplaced) {
		t.Error(err)
	}
	server.Restart()
	until(t, "the server is reached", func() bool { return latest(s) == " false <nil>" })
	version, err := s.Replace(t.Context(), []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	until(t, "the loss is known", func() bool { return strings.HasPrefix(latest(s), "one true ") && latest(s) != "one true <nil>" })
	if _, err := s.Replace(t.Context(), []byte("two"), version); err == nil || errors.Is(err, control.ErrReplaced) {
		t.Error(err)
	}
	server.Restart()
	until(t, "the server is reached again", func() bool { return latest(s) == "one true <nil>" })
	if err := s.cluster.link.JetStream.DeleteKeyValue(t.Context(), "TEST-settings"); err != nil {
		t.Fatal(err)
	}
	until(t, "the bucket is gone", func() bool { return latest(s) == " false <nil>" })
	if _, err := s.Replace(t.Context(), []byte("two"), 0); err != nil {
		t.Error(err)
	}
}

// A bucket that an operator purged has no text, as if the text was deleted.
func TestPurgedBucket(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	s := open(t, testConfig(server.URL(), 1)).Settings()
	if _, err := s.Replace(t.Context(), []byte("one"), 0); err != nil {
		t.Fatal(err)
	}
	stream, err := s.cluster.link.JetStream.Stream(t.Context(), "KV_TEST-settings")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the text is gone", func() bool { return latest(s) == " false <nil>" })
	if _, err := s.Replace(t.Context(), []byte("two"), 0); err != nil {
		t.Error(err)
	}
}

// A bucket in which settings would expire is not used.
func TestBucketThatLosesSettings(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	c := open(t, testConfig(server.URL(), 1))
	want := c.bucketConfig("-settings", "")
	want.TTL = time.Hour
	if _, err := c.link.JetStream.CreateKeyValue(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	until(t, "the error says that the bucket would lose settings", func() bool { return strings.Contains(latest(c.settings), "would lose what is put there") })
}

// A wrong password is a permanent error.
func TestWrongPassword(t *testing.T) {
	server := natstest.Start(t, natstest.Options{More: "authorization {user: me, password: secret}"})
	if c, err := Open(testConfig(strings.Replace(server.URL(), "//", "//me:guess@", 1), 1), "test", slog.New(slog.DiscardHandler)); err == nil {
		c.Close()
		t.Error("the cluster is opened")
	}
}

// announcer is a distributor that announces a text.
type announcer struct {
	*Presence
	stop func()
}

func announce(t *testing.T, c Config, text string) announcer {
	t.Helper()
	p := open(t, c).Presence()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	sizes := make(chan int, 100)
	go func() {
		defer close(done)
		p.Run(ctx, func() []byte { return []byte(text) }, func(size int) { sizes <- size })
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return announcer{p, stop}
}

func (a announcer) texts() string {
	var texts []string
	others, err := a.Members()
	for _, one := range others {
		texts = append(texts, string(one.Text))
	}
	return fmt.Sprintf("%q %d %v", texts, a.Size(), err)
}

// Each distributor knows the others. A distributor that stops is removed at once, and a distributor
// that announces nothing is removed after the TTL; while the servers are down no distributor is
// removed.
func TestPresence(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	config := testConfig(server.URL(), 1)
	a, b := announce(t, config, "a"), announce(t, config, "b")
	until(t, "the distributors know each other", func() bool { return a.texts() == `["b"] 2 <nil>` && b.texts() == `["a"] 2 <nil>` })
	server.Kill()
	until(t, "the first distributor reports the lost connection", func() bool {
		return strings.HasPrefix(a.texts(), `["b"] 2 the connection`) || strings.HasPrefix(a.texts(), `["b"] 2 no NATS`)
	})
	server.Restart()
	until(t, "the distributors know each other again", func() bool { return a.texts() == `["b"] 2 <nil>` })
	c := announce(t, config, "c")
	until(t, "the third distributor knows both", func() bool { return c.Size() == 3 && a.Size() == 3 })
	c.stop()
	until(t, "the third distributor is removed", func() bool { return a.texts() == `["b"] 2 <nil>` })
	b.cluster.link.Conn.Close() // the distributor ends as if it were killed
	until(t, "the second distributor is removed", func() bool { return a.texts() == `[] 1 <nil>` })
}

// bucketOf returns the bucket, which is open.
func (s *Settings) bucketOf(t *testing.T) jetstream.KeyValue {
	t.Helper()
	s.reading.Lock()
	defer s.reading.Unlock()
	bucket, err := s.openLocked(t.Context(), false)
	if bucket == nil || err != nil {
		t.Fatal(bucket, err)
	}
	return bucket
}
