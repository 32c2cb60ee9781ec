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

func (s sender) await(condition func() bool) {
	s.t.Helper()
	if err := s.a.Await(s.t.Context(), condition); err != nil {
		s.t.Fatal(err)
	}
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

func TestReceivedAndTaken(t *testing.T) {
	s := newSender(t)
	s.want(200, body("p-1"), "Idempotency-Key", "e/p-1")
	s.want(200, body("p-2")+"\n"+body("p-1"), "Content-Type", "application/x-ndjson")
	s.a.Behave(Status(503, "Retry-After", "3"))
	response, _ := s.want(503, body("p-3"))

	if response.Header.Get("Retry-After") != "3" {
		t.Error("Retry-After is missing")
	}
	if got := fmt.Sprint(s.a.Taken()); got != "map[p-1:2 p-2:1]" {
		t.Errorf("taken %s", got)
	}
	received := s.a.Received()
	if len(received) != 4 || s.a.Requests() != 3 || s.a.TakenMessages() != 3 {
		t.Fatalf("%d packets in %d requests", len(received), s.a.Requests())
	}
	if p := received[0]; p.EmitterID != "e" || p.Header.Get("Idempotency-Key") != "e/p-1" || string(p.Body) != body("p-1") {
		t.Errorf("the first is %+v", p)
	}
	if p := received[2]; p.PacketID != "p-1" || p.Request != 2 || p.Line != 2 {
		t.Errorf("the third is %+v", p)
	}
}

func TestRefuse(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Refuse(map[string]Refused{"bad": {"invalid_packet", "no"}}))

	_, content := s.want(207, body("p-1")+"\n"+body("bad"), "Content-Type", "application/x-ndjson")
	if want := `{"accepted":1,"refused":[{"line":2,"packet_id":"bad","code":"invalid_packet","detail":"no"}],"status":"partial"}`; strings.TrimSpace(content) != want {
		t.Errorf("%s\nwant %s", content, want)
	}
	s.want(422, body("bad"))
	if got := fmt.Sprint(s.a.Taken()); got != "map[p-1:1]" {
		t.Errorf("taken %s", got)
	}
}

func TestReset(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Reset())
	if _, _, err := s.send(t.Context(), body("p")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the error is %v", err)
	}
	if len(s.a.Received()) != 1 || len(s.a.Taken()) != 0 {
		t.Errorf("received %v", s.a.Received())
	}
}

func TestHangUntilRelease(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Hang())
	var sending sync.WaitGroup
	sending.Go(func() {
		if response, _, err := s.send(t.Context(), body("p")); err != nil || response.StatusCode != 200 {
			t.Errorf("%v", err)
		}
	})
	s.await(func() bool { return s.a.Requests() == 1 })
	for range time.Tick(time.Millisecond) { // it may not hang yet
		s.a.Release()
		if len(s.a.Taken()) == 1 {
			break
		}
	}
	sending.Wait()
}

func TestHangUntilClose(t *testing.T) {
	s := newSender(t)
	s.a.Behave(Hang())
	s.a.BehaveToProbes(Hang())
	var sending sync.WaitGroup
	sending.Go(func() {
		if _, _, err := s.send(t.Context(), body("p")); err == nil {
			t.Error("it answered")
		}
	})
	sending.Go(func() {
		if response, err := s.client.Get(s.a.URL() + "/health"); err == nil {
			response.Body.Close()
			t.Error("it answered the probe")
		}
	})
	s.await(func() bool { return s.a.Requests() == 1 && s.a.Probes() == 1 })
	s.a.Close()
	sending.Wait()
}

func TestDelayedPacketIsTakenAfterSenderTimeout(t *testing.T) {
	s := newSender(t)
	s.a.Behave(OK().After(20 * time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { _, _, _ = s.send(ctx, body("p")) })
	s.await(func() bool { return s.a.Requests() == 1 })
	cancel()
	sending.Wait()
	s.await(func() bool { return s.a.Taken()["p"] == 1 })
}

func TestRefuseAndAcceptConnections(t *testing.T) {
	s := newSender(t)
	s.want(200, body("p-1"))
	s.a.RefuseConnections()
	s.a.RefuseConnections()
	if _, _, err := s.send(t.Context(), body("p-2")); err == nil {
		t.Error("it answered")
	}
	for range 2 {
		if err := s.a.AcceptConnections(); err != nil {
			t.Fatal(err)
		}
	}
	s.want(200, body("p-3"))
	s.want(200, body("p-4"))
	if s.a.Taken()["p-2"] != 0 {
		t.Error("it took a packet while it was away")
	}
}

func TestProbeBehaviour(t *testing.T) {
	s := newSender(t)
	probe := func() *http.Response {
		response, err := s.client.Get(s.a.URL() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	if r := probe(); r.StatusCode != 200 || r.Header.Get("Accept-Post") != "application/x-ndjson" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	s.a.BehaveToProbes(Status(503))
	s.a.AdvertiseNDJSON(false)
	if r := probe(); r.StatusCode != 503 || r.Header.Get("Accept-Post") != "" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	s.want(200, body("p"))
	if s.a.Probes() != 2 {
		t.Errorf("%d probes, want 2", s.a.Probes())
	}
}
