package distributor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/sink"
)

func TestBackendTargets(t *testing.T) {
	for text, want := range map[string][]string{
		"loki+http://loki:3100=.5,es+https://es:9200?index=a=.5":                                {"loki", "es"},
		"es+http://es:9200?index=a=.5,es+http://es:9200?index=b=.5":                             {"analyzer-1", "analyzer-2"},
		"http://a:9001=.5,vlogs+http://10.0.0.1:9428=.5":                                        {"a", "analyzer-2"},
		"clickhouse+http://ch:8123?table=logs.otel_logs=.5,hec+https://splunk:8088?gzip=on=.5":  {"ch", "splunk"},
		"loki+http://loki:3100?label=host.name&label=region&clamp=now&tenant=a=1,http://b:1=.5": {"loki", "b"},
	} {
		var targets Targets
		if err := targets.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
			continue
		}
		var again Targets
		if err := again.UnmarshalText([]byte(targets.String())); err != nil || !slices.Equal(again, targets) {
			t.Errorf("%s: %s is %v, %v", text, targets, again, err)
		}
		if err := quick(t, targets...).Validate(); err != nil {
			t.Error(err)
		}
		var ids []string
		for _, target := range targets.WithIDs(nil) {
			ids = append(ids, target.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %v, want %v", text, ids, want)
		}
	}
}

func TestBackendTargetErrors(t *testing.T) {
	for pair, want := range map[[2]string]string{
		{"loki+http://a", "loki+http://a:80"}:                                "listed twice, as analyzer 1 and 2",
		{"es+https://a?gzip=on&index=b", "es+https://a:443?index=b&gzip=on"}: "listed twice",
		{"http://b", "loki+ftp://a"}:                                         "must look like http://host:port; other schemes are otlp, loki, es,",
		{"http://b", "redis+http://a"}:                                       "must look like http://host:port; other schemes are",
		{"http://b", "loki+http://user:secret@a"}:                            "no user or password",
		{"http://b", "es+http://a?pass=secret"}:                              `ANALYZERS: es+http://a: there is no option "pass": there are gzip, index, token_file`,
	} {
		err := validateTwo(t, pair[0], pair[1])
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v, want %s", pair, err, want)
		}
	}
}

// The configurations of the documentation are valid.
func TestDocumentedBackends(t *testing.T) {
	text, err := os.ReadFile("../../docs/backends.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for _, found := range regexp.MustCompile(`ANALYZERS='([^']*)'|url: "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		list := found[1]
		if list == "" {
			list = found[2] + "=1"
		}
		var targets Targets
		if err := targets.UnmarshalText([]byte(list)); err != nil {
			t.Errorf("%s: %v", list, err)
		}
		if err := quick(t, targets...).Validate(); err != nil {
			t.Errorf("%s: %v", list, err)
		}
		for _, one := range targets {
			kind, _, _ := strings.Cut(one.URL, "+")
			kinds[kind] = true
		}
	}
	for _, kind := range sink.Kinds() {
		if !kinds[kind] {
			t.Errorf("there is no configuration of %s", kind)
		}
	}
}

// fakeBackend accepts the requests for backends of one kind. It closes the connection after the
// first request, whose packets it stores nevertheless.
type fakeBackend struct {
	*httptest.Server
	kind   string
	mu     sync.Mutex // guards the fields below
	bodies [][]byte
	tokens []string
	status int // the status of responses, unless 0
}

func newFakeBackend(t *testing.T, kind string) *fakeBackend {
	t.Helper()
	b := &fakeBackend{kind: kind}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *fakeBackend) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status != 0 {
		w.WriteHeader(b.status)
		return
	}
	b.bodies = append(b.bodies, body)
	b.tokens = append(b.tokens, r.URL.Query().Get("insert_deduplication_token")+r.Header.Get("Authorization"))
	switch {
	case len(b.bodies) == 1:
		panic(http.ErrAbortHandler)
	case b.kind == sink.Elasticsearch:
		_, _ = io.WriteString(w, `{"errors":false,"items":[]}`)
	case b.kind == sink.SplunkHEC:
		_, _ = io.WriteString(w, `{"text":"Success","code":0}`)
	}
}

var (
	idOfPacket  = regexp.MustCompile(`"packet_id":"([0-9]+)"`)
	textOfMixed = regexp.MustCompile(`packet ([0-9]+);`)
)

// ids returns how often each packet_id was received, as found by a pattern, without repetitions of
// the first request.
func (b *fakeBackend) ids(t *testing.T, pattern *regexp.Regexp) map[string]int {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make(map[string]int)
	for i, body := range b.bodies {
		if i == 0 {
			continue
		}
		if b.kind == sink.Loki {
			var err error
			if body, err = s2.Decode(nil, body); err != nil {
				t.Fatal(err)
			}
		}
		for _, found := range pattern.FindAllSubmatch(body, -1) {
			ids[string(found[1])]++
		}
	}
	return ids
}

// Backends of all kinds and an analyzer get their shares of the packets, and a request that was cut
// off is repeated unchanged.
func TestMixedBackends(t *testing.T) {
	analyzer := analyzertest.New(t)
	targets := []Target{{ID: "native", URL: analyzer.URL(), Weight: 1}}
	var backends []*fakeBackend
	for _, kind := range sink.Kinds() {
		b := newFakeBackend(t, kind)
		backends = append(backends, b)
		targets = append(targets, Target{ID: kind, URL: kind + "+" + b.URL, Weight: 1})
	}
	s := startSystem(t, quick(t, targets...))
	const packets, messages = 600, 3
	for first := 1; first <= packets; first += 20 {
		var lines strings.Builder
		for id := first; id < first+20; id++ {
			message := fmt.Sprintf(`{"timestamp":1,"level":"INFO","message":"packet %d;"}`, id)
			fmt.Fprintf(&lines, `{"emitter_id":"e","packet_id":"%d","messages":[%s%s]}`+"\n", id, message, strings.Repeat(","+message, messages-1))
		}
		response, err := s.client.Post("http://"+s.Addr()+"/ingest", "application/x-ndjson", strings.NewReader(lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != http.StatusAccepted {
			t.Fatal(response.StatusCode)
		}
	}
	s.stop(t)
	arrived := make(map[string]int)
	for id := range analyzer.Taken() {
		arrived[id] = messages
	}
	for _, b := range backends {
		ids := b.ids(t, textOfMixed)
		if len(ids) == 0 {
			t.Errorf("%s got %d packets of %d", b.kind, len(ids), packets)
		}
		for id, count := range ids {
			arrived[id] += count
		}
		if !slices.ContainsFunc(b.bodies[1:], func(body []byte) bool { return bytes.Equal(body, b.bodies[0]) }) || !slices.Contains(b.tokens[1:], b.tokens[0]) {
			t.Errorf("%s: the first request was not repeated", b.kind)
		}
	}
	for i := range packets {
		if id := fmt.Sprint(i + 1); arrived[id] != messages {
			t.Errorf("packet %s: %d of %d messages", id, arrived[id], messages)
		}
	}
}

// A partialBulk is an Elasticsearch that rejects packet 3, and accepts packet 5 at the second
// request and packet 7 at the third.
type partialBulk struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int // by packet_id
}

func newPartialBulk(t *testing.T) *partialBulk {
	b := &partialBulk{requests: make(map[string]int)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *partialBulk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var items []string
	for _, found := range idOfPacket.FindAllSubmatch(body, -1) {
		id, status := string(found[1]), 201
		b.requests[id]++
		switch {
		case id == "3":
			status = 400
		case id == "5" && b.requests[id] == 1:
			status = 429
		case id == "7" && b.requests[id] <= 2:
			status = 503
		}
		items = append(items, fmt.Sprintf(`{"create":{"status":%d,"error":{"type":"mapping","reason":"no"}}}`, status))
	}
	_, _ = fmt.Fprintf(w, `{"errors":true,"items":[%s]}`, strings.Join(items, ","))
}

// The distributor retries only those packets of a bulk request that Elasticsearch did not accept,
// and a dead letter lists the documents that Elasticsearch rejected.
func TestBulkItems(t *testing.T) {
	b := newPartialBulk(t)
	config := quick(t, Target{ID: "one", URL: "es+" + b.URL, Weight: 1})
	s := startSystem(t, config)
	for range 10 {
		s.send(1, 1, 1)
	}
	until(t, "all packets end", func() bool {
		status := s.Status()
		return status.Delivered.Packets == 29 && status.DeadLettered.Packets == 1
	})
	s.stop(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, n := range b.requests {
		if want := map[string]int{"5": 2, "7": 3}[id]; n != max(want, 1) {
			t.Errorf("packet %s was sent %d times", id, n)
		}
	}
	files, err := filepath.Glob(filepath.Join(config.DataDir, "dead-letter", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), `message 0: 400 mapping`) {
		t.Errorf("%s, %v", text, err)
	}
}

// A backend that refuses the credentials is unhealthy, and no packet is a dead letter.
func TestMisconfiguredBackend(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		b := newFakeBackend(t, sink.VictoriaLogs)
		b.status = status
		s := startSystem(t, quick(t, Target{ID: "one", URL: "vlogs+" + b.URL, Weight: 1}))
		for range 10 {
			s.send(1)
		}
		until(t, "the backend is unhealthy", func() bool { return s.eligible() == 0 })
		b.mu.Lock()
		b.status = 0
		b.mu.Unlock()
		until(t, "all packets are stored", func() bool { return len(b.ids(t, idOfPacket)) == s.acceptedPackets() })
		s.stop(t)
		if values := s.scrape(t); values["distributor_send_failures_total{analyzer=one,reason=misconfigured}"] < 1 {
			t.Error("no misconfiguration is counted")
		}
		for name, value := range s.scrape(t) {
			if strings.HasPrefix(name, "distributor_dead_letter") && value > 0 {
				t.Errorf("%s is %v", name, value)
			}
		}
	}
}

// wantToken sends packets and checks the token of the last request.
func (b *fakeBackend) wantToken(t *testing.T, s *system, packets int, want string) {
	t.Helper()
	for range packets {
		s.send(1)
	}
	until(t, "the packets are stored", func() bool { return len(b.ids(t, idOfPacket)) == int(s.packets.Load()) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.tokens[len(b.tokens)-1]; got != want {
		t.Errorf("the token is %q, want %q", got, want)
	}
}

// The distributor reads the token of a backend from a file, and again when the file changes, and
// sends the token with the authorization scheme of the backend. The error about a broken or
// missing file does not have the content of the file.
func TestTokenFile(t *testing.T) {
	b := newFakeBackend(t, sink.SplunkHEC)
	path := filepath.Join(t.TempDir(), "token")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	config := quick(t, Target{ID: "one", URL: "hec+" + b.URL + "?token_file=" + path, Weight: 1})
	if err := config.CheckCredentials(); err != nil {
		t.Fatal(err)
	}
	s := startSystem(t, config)
	b.wantToken(t, s, 2, "Splunk first")
	write("user:secret")
	if err := s.CredentialFiles().Reload(); err != nil {
		t.Fatal(err)
	}
	b.wantToken(t, s, 1, "Basic dXNlcjpzZWNyZXQ=")
	write("secret\nsecret")
	for _, err := range []error{s.CredentialFiles().Reload(), config.CheckCredentials()} {
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "token_file") || !strings.Contains(err.Error(), "one line") {
			t.Errorf("a broken file: %v", err)
		}
	}
	other := config
	other.Targets = Targets{{ID: "one", URL: "hec+" + b.URL, Weight: 1}}
	if err := s.Reconfigure(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := s.CredentialFiles().Reload(); err != nil {
		t.Errorf("the file is still watched: %v", err)
	}
	missing := quick(t, Target{ID: "one", URL: "hec+" + b.URL + "?token_file=/missing", Weight: 1})
	if err := missing.CheckCredentials(); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a missing file: %v", err)
	}
	s.stop(t)
}
