package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/history"
)

// follower reads a stream of server-sent events.
type follower struct {
	testing.TB
	response *http.Response
	scanner  *bufio.Scanner
	cancel   context.CancelFunc
}

func (s *system) follow(path string, header ...string) *follower {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	response := s.open(ctx, "GET", path, "", header...)
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != eventStream {
		s.Fatalf("%s: %s", path, response.Status)
	}
	return &follower{s.TB, response, bufio.NewScanner(response.Body), cancel}
}

// next returns the next event.
func (f *follower) next() (event, id string, data map[string]any) {
	f.Helper()
	for f.scanner.Scan() {
		name, value, _ := strings.Cut(f.scanner.Text(), ": ")
		switch {
		case name == "event":
			event = value
		case name == "id":
			id = value
		case name == "data":
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				f.Fatalf("%s: %v", value, err)
			}
		case name == "" && event != "":
			return event, id, data
		}
	}
	return "", "", nil
}

func (f *follower) close() {
	f.cancel()
	_ = f.response.Body.Close()
}

func TestEvents(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PATCH", "/v1/settings", `{"rate_limit":4}`)
	first := s.ok("GET", "/v1/events", "").get("last").(float64)
	waited := make(chan reply)
	go func() { waited <- s.ok("GET", "/v1/events?wait=60s&limit=1&after="+jsonText(first), "") }()
	stream := s.follow("/v1/events?after="+jsonText(first), "Accept", "text/event-stream")
	defer stream.close()
	s.ok("PATCH", "/v1/settings", `{"rate_limit":5,"reason":"why"}`)
	event, id, data := stream.next()
	if event != "event" || id != jsonText(first+1) || data["path"] != "settings/rate_limit" || data["reason"] != "why" || data["actor"] != "local" {
		t.Errorf("%s %s %v", event, id, data)
	}
	if got := <-waited; got.get("events.0.path") != "settings/rate_limit" || got.get("last") != first+1 {
		t.Errorf("%s", got.text)
	}
	again := s.follow("/v1/events", "Accept", "text/event-stream", "Last-Event-ID", jsonText(first))
	defer again.close()
	if _, id, _ := again.next(); id != jsonText(first+1) {
		t.Errorf("the stream continues with event %s", id)
	}
	s.want(400, malformed, "GET", "/v1/events?after=x", "")
	s.ok("HEAD", "/v1/events", "")
	s.ok("HEAD", "/v1/events", "", "Accept", "text/event-stream") // the stream would have no end
	if got := s.ok("GET", "/v1/events?limit=1", ""); got.get("events.0.id") != first+1 || got.get("last") != first+1 {
		t.Errorf("not the latest event: %s", got.text)
	}
	if got := s.ok("GET", "/v1/events?limit=1&after=0", ""); got.get("events.0.id") != 1.0 {
		t.Errorf("not the first event: %s", got.text)
	}
}

// A request that waits is answered once the revision is newer.
func TestWaitForARevision(t *testing.T) {
	s := startSystem(t, "")
	before := s.Revision()
	waited := make(chan reply)
	go func() { waited <- s.ok("GET", fmt.Sprintf("/v1/settings?wait=5m&revision=%d", before), "") }()
	s.until("the request waits", func() bool { return waits("(*api).awaitNewer") })
	s.ok("PATCH", "/v1/settings", `{"rate_limit":5}`)
	if got := <-waited; got.get("revision") != float64(before+1) || got.get("settings.rate_limit.value") != 5.0 {
		t.Errorf("%s", got.text)
	}
	s.ok("GET", "/v1/settings?wait=5m&revision=0", "")
	s.ok("GET", fmt.Sprintf("/v1/settings?wait=1ms&revision=%d", before+1), "")
	s.want(400, malformed, "GET", "/v1/settings?wait=1s", "")
	s.want(400, malformed, "GET", "/v1/settings?wait=1h&revision=1", "")
}

// waits reports whether a goroutine is in a function.
func waits(function string) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), function)
}

func jsonText(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

func TestStream(t *testing.T) {
	s := startSystem(t, "")
	stream := s.follow("/v1/stream")
	defer stream.close()
	event, id, data := stream.next()
	if event != "snapshot" || id != data["boot"].(string)+"-"+jsonText(data["seq"]) || data["texts"].(map[string]any)["state"] != "normal" {
		t.Errorf("%s %s %v", event, id, data)
	}
	reset := s.follow("/v1/stream", "Last-Event-ID", "another-7")
	defer reset.close()
	if event, _, got := reset.next(); event != "reset" || got["boot"] != data["boot"] {
		t.Errorf("%s %v", event, got)
	}
	if history := s.ok("GET", "/v1/history", ""); history.get("times.0") == nil || history.get("columns.accepted_messages_per_s") == nil {
		t.Errorf("%s", history.text)
	}
}

// A stream with overviews begins with the caller and an overview, and has another overview after a
// change.
func TestStreamWithOverviews(t *testing.T) {
	s := startSystem(t, "")
	s.until("there is a snapshot", func() bool { return s.ok("GET", "/v1/history", "").get("times.0") != nil })
	stream := s.follow("/v1/stream?overview=true")
	defer stream.close()
	if event, _, data := stream.next(); event != "session" || data["name"] != "local" || data["role"] != "operate" {
		t.Errorf("the stream begins with %s %v", event, data)
	}
	event, id, data := stream.next()
	before := data["status"].(map[string]any)["revision"].(float64)
	if event != "overview" || id != "" || len(data["analyzers"].(map[string]any)["analyzers"].([]any)) != 2 || data["cluster"] != nil {
		t.Errorf("the session is followed by %s %s %v", event, id, data)
	}
	if event, _, _ := stream.next(); event != "snapshot" {
		t.Errorf("the overview is followed by %s", event)
	}
	s.ok("PATCH", "/v1/settings", `{"rate_limit":4}`)
	last := s.ok("GET", "/v1/events", "").get("last")
	for event, _, data = stream.next(); event != "overview" || data["last_event"] != last; event, _, data = stream.next() {
		if event == "" {
			t.Fatal("the stream ends before it has the event")
		}
	}
	if revision := data["status"].(map[string]any)["revision"].(float64); revision != before+1 {
		t.Errorf("revision %v after %v", revision, before)
	}
	s.want(400, malformed, "GET", "/v1/stream?overview=x", "")
}

// Viewers share an overview until the next one is due.
func TestOverviewsAreShared(t *testing.T) {
	s := startSystem(t, "")
	text, number := s.server.api.latestOverview()
	for range 10 {
		again, same := s.server.api.latestOverview()
		if s.server.api.overviews.made.IsZero() || same == number && &again[0] != &text[0] {
			t.Fatal("an overview was encoded again")
		}
	}
	s.ok("PATCH", "/v1/settings", `{"rate_limit":4}`)
	if _, next := s.server.api.latestOverview(); next == number {
		t.Error("a change is not in the overview")
	}
}

// An overview is encoded once for all viewers, whatever their number, and at most once per
// interval. A test of package history checks the same for snapshots.
func TestOverviewIsEncodedOnce(t *testing.T) {
	s := startSystem(t, "")
	s.until("there is a snapshot", func() bool { return s.ok("GET", "/v1/history", "").get("times.0") != nil })
	begin := time.Now()
	var viewers []*follower
	for range history.MaxViewers {
		viewer := s.follow("/v1/stream?overview=true")
		defer viewer.close()
		viewers = append(viewers, viewer)
	}
	for _, viewer := range viewers {
		seen := map[string]int{}
		for seen["overview"] < 2 || seen["snapshot"] < 3 {
			event, _, _ := viewer.next()
			if event == "" {
				t.Fatalf("a stream ended after %v", seen)
			}
			seen[event]++
		}
	}
	o := &s.server.api.overviews
	o.mu.Lock()
	defer o.mu.Unlock()
	if most := 1 + int64(time.Since(begin)/overviewInterval); o.number < 2 || o.number > most {
		t.Errorf("%d viewers took %d encodings of the overview: more than %d", len(viewers), o.number, most)
	}
}

func TestTap(t *testing.T) {
	s := startSystem(t, "admin_token: secret-of-operators\n")
	s.header["Authorization"] = "Bearer secret-of-operators"
	tap := s.follow("/v1/tap?stage=delivered&emitter=web-*&bodies=true&level=INFO&sample=1")
	defer tap.close()
	s.send("db-1", 1)
	s.send("web-1", 1)
	if event, _, data := tap.next(); event != "packet" || data["emitter_id"] != "web-1" || data["stage"] != "delivered" || data["packet"].(map[string]any)["packet_id"] != "0" {
		t.Errorf("%s %v", event, data)
	}
	s.follow("/v1/tap?sample=0.5").close()
	plain := s.follow("/v1/tap?stage=accepted")
	defer plain.close()
	s.send("web-2", 1)
	if _, _, data := plain.next(); data["packet"] != nil || data["text"] != nil {
		t.Errorf("a body is shown: %v", data)
	}
	if records := readRecords(t, s.Config().Distributor.DataDir); len(records) != 1 || records[0].Path != "/v1/tap" || records[0].Query != "bodies=true&emitter=web-%2A&level=INFO&sample=1&stage=delivered" {
		t.Errorf("%+v", records)
	}
	for _, query := range []string{"stage=x", "level=x", "sample=0", "sample=2.5", "sample=-0.5", "sample=1e-9", "sample=NaN", "bodies=yes", "emitter=" + strings.Repeat("x", 2000)} {
		s.want(400, malformed, "GET", "/v1/tap?"+query, "")
	}
	for range 2 {
		more := s.follow("/v1/tap")
		defer more.close()
	}
	if got := s.want(429, tooManyStreams, "GET", "/v1/tap", ""); got.Header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	tap.close()
	s.until("there may be another tap", func() bool {
		response := s.open(t.Context(), "GET", "/v1/tap?stage=refused", "")
		if response.StatusCode == 200 {
			_ = response.Body.Close()
			return true
		}
		_, _ = io.ReadAll(response.Body)
		_ = response.Body.Close()
		return false
	})
}

// Packet bodies need the role operate, and the audit log records the refusal.
func TestTapOfReaders(t *testing.T) {
	s := startSystem(t, "admin_tokens_file: "+withTokens(t).TokensFile+"\n")
	s.header["Authorization"] = "Bearer " + readToken
	s.want(403, forbidden, "GET", "/v1/tap?bodies=true", "")
	if records := readRecords(t, s.Config().Distributor.DataDir); len(records) != 1 || records[0].Actor != "viewer" || records[0].Status != 403 {
		t.Errorf("%+v", records)
	}
	tap := s.follow("/v1/tap")
	tap.close()
}

// Streams are bounded, and end when the server stops.
func TestStreamsEndWithTheServer(t *testing.T) {
	s := startSystem(t, "")
	var streams []*follower
	for range maxEventStreams {
		streams = append(streams, s.follow("/v1/events?after=1000000", "Accept", "text/event-stream"))
	}
	s.want(429, tooManyStreams, "GET", "/v1/events", "", "Accept", "text/event-stream")
	for range 2 {
		streams = append(streams, s.follow("/v1/tap"), s.follow("/v1/stream"))
	}
	waiting := make(chan reply)
	go func() { waiting <- s.ok("GET", "/v1/status?wait=5m&revision=1000000", "") }()
	s.until("the request waits", func() bool { return waits("(*api).awaitNewer") })
	started := time.Now()
	s.stop()
	<-waiting
	for _, one := range streams {
		for event := "first"; event != ""; {
			event, _, _ = one.next()
		}
		one.close()
	}
	if took := time.Since(started); took > time.Minute {
		t.Errorf("the streams ended after %v", took)
	}
}
