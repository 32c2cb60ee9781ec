package analyzertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func body(id string) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":"%s","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, id)
}

type sender struct {
	t      *testing.T
	a      *Analyzer
	client *http.Client
}

func newSender(t *testing.T) sender {
	a := New(t)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return sender{t, a, client}
}

func (s sender) send(ctx context.Context, text string, header ...string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, "POST", s.a.URL()+"/ingest", strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response, string(content), err
}

// await polls until the condition holds.
func (s sender) await(condition func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-s.t.Context().Done():
			s.t.Fatal("the test ended before the condition held")
		}
	}
}

func (s sender) health() (*http.Response, error) {
	response, err := s.client.Get(s.a.URL() + "/health")
	if err == nil {
		response.Body.Close()
	}
	return response, err
}

func (s sender) want(status int, text string, header ...string) (*http.Response, string) {
	s.t.Helper()
	response, content, err := s.send(s.t.Context(), text, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != status {
		s.t.Fatalf("%d, want %d", response.StatusCode, status)
	}
	return response, content
}

func TestTaken(t *testing.T) {
	s := newSender(t)
	s.want(200, body("p-1"))
	s.want(200, body("p-2")+"\n"+body("p-1")+"\n", "Content-Type", ndjson)
	s.a.Behave(Behaviour{Status: 503, RetryAfter: "3"})
	response, _ := s.want(503, body("p-3"))
	if response.Header.Get("Retry-After") != "3" {
		t.Error("Retry-After is missing")
	}
	if got := fmt.Sprint(s.a.Taken()); got != "map[p-1:2 p-2:1]" || s.a.Requests() != 3 {
		t.Errorf("taken %s in %d requests", got, s.a.Requests())
	}
	s.want(500, "no packet")
}

func TestRejected(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Rejected: map[string]string{"bad": "invalid_packet"}})
	_, content := s.want(207, body("p-1")+"\n"+body("bad"), "Content-Type", ndjson)
	if want := `{"refused":[{"line":2,"code":"invalid_packet","detail":"not packet bad"}]}`; strings.TrimSpace(content) != want {
		t.Errorf("%s\nwant %s", content, want)
	}
	s.want(422, body("bad"))
	if got := fmt.Sprint(s.a.Taken()); got != "map[p-1:1]" {
		t.Errorf("taken %s", got)
	}
}

func TestResetAndForget(t *testing.T) {
	for want, b := range map[string]Behaviour{"map[]": {Reset: true}, "map[p:1]": {Forget: true}} {
		s := newSender(t)
		s.a.Behave(b)
		if _, _, err := s.send(t.Context(), body("p")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%+v: the error is %v", b, err)
		}
		if got := fmt.Sprint(s.a.Taken()); got != want || s.a.Requests() != 1 {
			t.Errorf("%+v: taken %v in %d requests, want %s", b, got, s.a.Requests(), want)
		}
	}
}

// Only restricts a behaviour to requests with a matching packet.
func TestOnly(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Status: 500, Only: "poison", Probes: true})
	s.want(200, body("poisonous-1"))
	s.want(500, body("web-1")+"\n"+body("poison-1"), "Content-Type", ndjson)
	if response, err := s.health(); err != nil || response.StatusCode != 200 {
		t.Errorf("a probe: %v, %v", response, err)
	}
}

// When the behaviour changes, the new behaviour handles a request that hangs.
func TestHangUntilTheNextBehaviour(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Hang: true})
	var sending sync.WaitGroup
	sending.Go(func() {
		if r, _, err := s.send(t.Context(), body("p")); err != nil || r.StatusCode != 200 {
			t.Errorf("%v, %v", r, err)
		}
	})
	s.await(func() bool { return s.a.Requests() == 1 })
	s.a.Behave(Behaviour{})
	sending.Wait()
	if s.a.Taken()["p"] != 1 {
		t.Error("the packet was not taken")
	}
}

// A request that hangs ends when its sender disconnects or the analyzer closes.
func TestHangUntilTheEnd(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Hang: true, Probes: true})
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	for _, ctx := range []context.Context{ctx, t.Context()} {
		sending.Go(func() {
			if _, _, err := s.send(ctx, body("p")); err == nil {
				t.Error("the analyzer answered")
			}
		})
	}
	sending.Go(func() {
		if _, err := s.health(); err == nil {
			t.Error("the analyzer answered the probe")
		}
	})
	s.await(func() bool { return s.a.Requests() == 2 })
	cancel()
	s.a.Close()
	sending.Wait()
	if len(s.a.Taken()) > 0 {
		t.Errorf("taken %v", s.a.Taken())
	}
}

func TestDelayedPacketIsTakenAfterSenderTimeout(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Delay: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { _, _, _ = s.send(ctx, body("p")) })
	s.await(func() bool { return s.a.Requests() == 1 })
	cancel()
	sending.Wait()
	s.await(func() bool { return s.a.Taken()["p"] == 1 })
}

// Every n-th request is delayed; the other requests are answered meanwhile.
func TestEvery(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Delay: time.Hour, Every: 2})
	s.want(200, body("p-1"))
	var sending sync.WaitGroup
	sending.Go(func() {
		if r, _, err := s.send(t.Context(), body("p-2")); err != nil || r.StatusCode != 200 {
			t.Errorf("%v, %v", r, err)
		}
	})
	s.await(func() bool { return s.a.Requests() == 2 })
	s.want(200, body("p-3"))
	if s.a.Taken()["p-2"] > 0 {
		t.Error("the second request was not delayed")
	}
	s.a.Behave(Behaviour{})
	sending.Wait()
}

func TestRefuse(t *testing.T) {
	s := newSender(t)
	s.want(200, body("p-1"))
	for range 2 {
		s.a.Behave(Behaviour{Refuse: true})
	}
	if _, _, err := s.send(t.Context(), body("p-2")); err == nil {
		t.Error("the analyzer answered")
	}
	for range 2 {
		s.a.Behave(Behaviour{})
	}
	s.want(200, body("p-3"))
	s.want(200, body("p-4"))
	if s.a.Taken()["p-2"] != 0 {
		t.Error("the analyzer took a packet while its port was closed")
	}
}

// An analyzer that dies listens again after a second.
func TestDie(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Behaviour{Die: true, Only: "poison"})
	if _, _, err := s.send(t.Context(), body("poison-1")); err == nil {
		t.Error("the analyzer answered")
	}
	s.await(func() bool {
		_, _, err := s.send(t.Context(), body("p"))
		return err == nil
	})
	if got := fmt.Sprint(s.a.Taken()); got != "map[p:1]" {
		t.Errorf("taken %s", got)
	}
}

func TestProbes(t *testing.T) {
	s := newSender(t)
	for _, c := range []struct {
		behaviour Behaviour
		status    int
		accepts   string
	}{
		{Behaviour{}, 200, ndjson},
		{Behaviour{Status: 503}, 200, ndjson},
		{Behaviour{Status: 503, Probes: true, Single: true}, 503, ""},
	} {
		s.a.Behave(c.behaviour)
		if r, err := s.health(); err != nil || r.StatusCode != c.status || r.Header.Get("Accept-Post") != c.accepts {
			t.Errorf("%+v: %v, %v", c.behaviour, r, err)
		}
	}
	s.a.Behave(Behaviour{Reset: true, Probes: true})
	if _, err := s.health(); err == nil {
		t.Error("a probe was answered")
	}
}

// An analyzer may use hooks as its record, and listen on a given address.
func TestStart(t *testing.T) {
	var recorded []string
	answered := make(chan []string, 1)
	a, err := Start("127.0.0.1:0", Hooks{
		Record: func(ids []string) error {
			recorded = append(recorded, ids...)
			return nil
		},
		Answered: func(ids []string) { answered <- ids },
		Fail:     func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	s := sender{t, a, client}
	s.want(200, body("p-2")+"\n"+body("p-1"), "Content-Type", ndjson)
	if got := strings.Join(recorded, " "); got != "p-2 p-1" {
		t.Errorf("recorded %s", got)
	}
	if got := strings.Join(<-answered, " "); got != "p-2 p-1" {
		t.Errorf("answered %s", got)
	}
	if _, err := Start(a.Address(), Hooks{}); err == nil {
		t.Error("two analyzers listen on one address")
	}
}
