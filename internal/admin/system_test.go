package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// system is a distributor with the analyzers a1 and a2, its controller and its admin API.
type system struct {
	testing.TB
	*control.Controller
	distributor *distributor.Distributor
	server      *Server
	registry    *prometheus.Registry
	upgrader    *fakeUpgrader
	others      others
	client      *http.Client
	url         string
	dir         string
	header      map[string]string // the header of each request
	analyzers   []*analyzertest.Analyzer
	stop        func()
}

// fakeUpgrader is an Upgrader without a program.
type fakeUpgrader struct {
	err      error
	requests int
}

func (u *fakeUpgrader) Preflight(context.Context) error { return u.err }

func (u *fakeUpgrader) Request(context.Context) error {
	u.requests++
	return u.err
}

// startSystem starts a system. The lines are added to its configuration file.
func startSystem(t testing.TB, lines string) *system {
	t.Helper()
	s := &system{TB: t, dir: t.TempDir(), registry: prometheus.NewRegistry(), upgrader: &fakeUpgrader{}, header: make(map[string]string)}
	for range 3 {
		s.analyzers = append(s.analyzers, analyzertest.New(t))
	}
	s.configure(fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}]\n%s",
		s.analyzers[0].URL(), s.analyzers[1].URL(), lines))
	loader := config.New(control.DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = filepath.Join(s.dir, "c.yaml")
	logger := slog.New(slog.DiscardHandler)
	watcher, err := filewatch.New(logger, nil)
	s.must(err)
	var access *Access
	s.Controller, err = control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare: func(c control.Config) (commit, abort func(), err error) { return access.Prepare(c.Admin) },
	})
	s.must(err)
	access, err = NewAccess(s.Config().Admin, watcher, nil)
	s.must(err)
	s.distributor, err = distributor.New(s.Config().Distributor, logger)
	s.must(err)
	s.must(s.Attach(s.distributor, prometheus.NewRegistry()))
	s.distributor.Start(t.Context())
	listener, err := Listen(s.Config().Admin, nil)
	s.must(err)
	s.server, err = Serve(listener, Dependencies{
		Controller: s.Controller, Access: access, Upgrader: s.upgrader, Cluster: &s.others, DataDir: s.Config().Distributor.DataDir,
		Version: "1.2.3", Registerer: s.registry, Logger: logger,
	})
	s.must(err)
	s.url = "http://" + listener.Addr().String()
	s.client = &http.Client{Transport: checking{t, &http.Transport{}}}
	s.run()
	return s
}

// run runs the controller until stop, or the end of the test.
func (s *system) run() {
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan struct{})
	go func() {
		s.Controller.Run(ctx)
		close(done)
	}()
	var stopped bool
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := s.server.Stop(context.Background()); err != nil {
			s.Error(err)
		}
		cancel()
		<-done
		_, _ = s.distributor.Stop(context.Background())
		s.client.Transport.(checking).RoundTripper.(*http.Transport).CloseIdleConnections()
	}
	s.Cleanup(func() { s.stop() })
}

// configure writes the configuration file.
func (s *system) configure(lines string) {
	s.Helper()
	text := fmt.Sprintf("port: 0\nlisten_addr: 127.0.0.1\nmetrics_addr: 127.0.0.1:0\nadmin_addr: 127.0.0.1:0\ndrain_sec: 0\ndata_dir: %s\n%s", filepath.Join(s.dir, "data"), lines)
	s.must(os.WriteFile(filepath.Join(s.dir, "c.yaml"), []byte(text), 0o600))
}

func (s *system) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// reply is a response.
type reply struct {
	*http.Response
	text []byte
}

// get returns a value of the body; keys are separated by dots, and may be indexes.
func (r reply) get(path string) any {
	var value any
	_ = json.Unmarshal(r.text, &value)
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// open makes a request. The caller closes the body of the response.
func (s *system) open(ctx context.Context, method, path, body string, header ...string) *http.Response {
	s.Helper()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	s.must(err)
	if method != http.MethodGet && method != http.MethodHead {
		r.Header.Set("Content-Type", "application/json")
	}
	for key, value := range s.header {
		r.Header.Set(key, value)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	response, err := s.client.Do(r)
	s.must(err)
	return response
}

// want makes a request and checks the status, and the code of a refusal.
func (s *system) want(status int, reason code, method, path, body string, header ...string) reply {
	s.Helper()
	response := s.open(s.Context(), method, path, body, header...)
	text, err := io.ReadAll(response.Body)
	s.must(err)
	s.must(response.Body.Close())
	got := reply{response, text}
	if is, _ := got.get("code").(string); response.StatusCode != status || status >= 400 && code(is) != reason {
		s.Fatalf("%s %s %.200s: %d %s, want %d %s", method, path, body, response.StatusCode, text, status, reason)
	}
	return got
}

func (s *system) ok(method, path, body string, header ...string) reply {
	s.Helper()
	return s.want(200, "", method, path, body, header...)
}

// send sends packets of one message.
func (s *system) send(emitter string, packets int) {
	s.Helper()
	var lines bytes.Buffer
	for i := range packets {
		fmt.Fprintf(&lines, `{"emitter_id":%q,"packet_id":"%d","messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`+"\n", emitter, i)
	}
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://"+s.distributor.Addr()+"/ingest", &lines)
	s.must(err)
	r.Header.Set("Content-Type", "application/x-ndjson")
	response, err := http.DefaultTransport.RoundTrip(r)
	s.must(err)
	_, _ = io.Copy(io.Discard, response.Body)
	s.must(response.Body.Close())
	if response.StatusCode != http.StatusAccepted {
		s.Fatalf("the packets are answered %s", response.Status)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// until waits until a condition holds.
func (s *system) until(what string, is func() bool) {
	s.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-deadline:
			s.Fatalf("not within the time limit: %s", what)
		case <-ticker.C:
		}
	}
}

// blockFile creates a directory with an entry at the path of a file, so that the file cannot be
// written.
func blockFile(path string) error { return os.MkdirAll(filepath.Join(path, "entry"), 0o700) }
