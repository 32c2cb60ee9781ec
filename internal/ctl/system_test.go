package ctl

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// system is a distributor with its admin API.
type system struct {
	*testing.T
	distributor *distributor.Distributor
	server      *admintest.Server // only its URL
	analyzers   []*analyzertest.Analyzer
}

func startSystem(t *testing.T) *system {
	t.Helper()
	s := &system{T: t}
	dir := t.TempDir()
	text := fmt.Sprintf("port: 0\nlisten_addr: 127.0.0.1\nmetrics_addr: 127.0.0.1:0\nadmin_addr: 127.0.0.1:0\ndrain_sec: 0\ndata_dir: %s\nanalyzers:\n", filepath.Join(dir, "data"))
	for i := range 3 {
		s.analyzers = append(s.analyzers, analyzertest.New(t))
		if i < 2 {
			text += fmt.Sprintf("- {id: a%d, url: '%s', weight: 0.5}\n", i+1, s.analyzers[i].URL())
		}
	}
	file := filepath.Join(dir, "c.yaml")
	s.must(os.WriteFile(file, []byte(text), 0o600))
	loader := config.New(control.DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = file
	logger := slog.New(slog.DiscardHandler)
	watcher, err := filewatch.New(logger, nil)
	s.must(err)
	var access *admin.Access
	controller, err := control.Open(loader, control.Dependencies{
		Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()),
		Prepare: func(c control.Config) (commit, abort func(), err error) { return access.Prepare(c.Admin) },
	})
	s.must(err)
	access, err = admin.NewAccess(controller.Config().Admin, watcher)
	s.must(err)
	s.distributor, err = distributor.New(controller.Config().Distributor, logger)
	s.must(err)
	s.must(controller.Attach(s.distributor, prometheus.NewRegistry()))
	s.distributor.Start(t.Context())
	s.serve(controller, access, logger)
	return s
}

// serve serves the admin API until the end of the test.
func (s *system) serve(controller *control.Controller, access *admin.Access, logger *slog.Logger) {
	s.Helper()
	listener, err := admin.Listen(controller.Config().Admin, nil)
	s.must(err)
	server, err := admin.Serve(listener, admin.Dependencies{
		Controller: controller, Access: access, DataDir: controller.Config().Distributor.DataDir, Version: "1.2.3", Registerer: prometheus.NewRegistry(), Logger: logger,
	})
	s.must(err)
	s.server = &admintest.Server{URL: "http://" + listener.Addr().String()}
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan struct{})
	go func() {
		controller.Run(ctx)
		close(done)
	}()
	s.Cleanup(func() {
		s.must(server.Stop(context.Background()))
		cancel()
		<-done
		_, _ = s.distributor.Stop(context.Background())
	})
}

func (s *system) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// do runs a command line, which must succeed and print what is wanted.
func (s *system) do(line string, want ...string) string {
	s.Helper()
	out, errs, err := invoke(s.T, s.server, "", strings.Fields(line)...)
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.Errorf("%s: %q is not in\n%s", line, w, out)
		}
	}
	if err != nil {
		s.Errorf("%s: %v\n%s%s", line, err, out, errs)
	}
	return out
}

// post sends a packet and returns the status.
func (s *system) post(id string) int {
	s.Helper()
	packet := fmt.Sprintf(`{"emitter_id":"web-1","packet_id":%q,"messages":[{"timestamp":1640995200000,"level":"INFO","message":"m"}]}`, id)
	response, err := http.Post("http://"+s.distributor.Addr()+"/ingest?ack=delivered", "application/json", strings.NewReader(packet))
	s.must(err)
	_ = response.Body.Close()
	return response.StatusCode
}

// Every command works with the admin API itself.
func TestSystem(t *testing.T) {
	s := startSystem(t)
	s.do("status", "unaccounted", "2 of 2 healthy", "Version 1.2.3")
	s.do("analyzers", "a1", "50.0 %", "No analyzer should be off by more than")
	s.do("weight a2 0.25 -dry-run", "this is a dry run", "analyzers/a2/weight", "66.7 %")
	s.do("weight a2 0.25 -ttl 15m -reason test", "Revision", "33.3 %")
	s.do("overrides", "analyzers/a2/weight", "test")
	s.do("revert analyzers/a2/weight", "analyzers/a2/weight")
	s.do("add a3 "+s.analyzers[2].URL()+" 0.5", "analyzers/a3", "33.3 %")
	s.do("drain a3 -wait -deadline 10s", "a3: drained at", "0 unaccounted")
	s.do("analyzers a3", "drain", "a3: drained at")
	s.do("ready a3", "ready")
	s.do("maint a3 -wait", "0 unaccounted")
	s.do("remove a3 -deadline 10s -wait", "0 unaccounted")
	s.do("drains", "a3: drained")
	s.do("breaker open a2 -ttl 5m")
	s.do("breaker reset a2")
	s.do("settings get", "rate_limit", "log_level", "intake")
	s.do("settings set intake=paused rate_limit=100 -ttl 5m", "intake")
	s.do("settings get intake", "paused")
	s.do("settings revert intake rate_limit", "rate_limit")
	s.do("limits set web-9 1000 2000 -ttl 1h")
	s.do("limits get web-9", "web-9", "1000", "2000")
	s.do("limits clear web-9")
	s.do("backlog", "0 packets (0 messages)")
	s.do("events -limit 1000", "analyzers/a2/weight", "test")
	s.do("config", "analyzers:")
	s.do("reload -dry-run", "dry run")
	s.do("reload", "Revision")
	s.do("revert -all -dry-run", "dry run")
	s.do("openapi", `"openapi": "3.1.0"`)
	if _, _, err := invoke(t, s.server, "", "weight", "a2", "0.1", "-if-match", "1"); ExitCode(err) != ExitStale {
		t.Error(err)
	}
	if _, _, err := invoke(t, s.server, "", "weight", "nobody", "0.1"); ExitCode(err) != ExitFailed {
		t.Error(err)
	}
	s.do("status", "unaccounted                    0")
}

func TestSystemDeadLetters(t *testing.T) {
	s := startSystem(t)
	for _, a := range s.analyzers {
		a.Behave(analyzertest.Behaviour{Rejected: map[string]string{"1": "invalid_packet", "2": "invalid_packet", "3": "invalid_packet"}})
	}
	for _, id := range []string{"1", "2", "3"} {
		if status := s.post(id); status != http.StatusUnprocessableEntity {
			t.Fatal(id, status)
		}
	}
	for _, a := range s.analyzers {
		a.Behave(analyzertest.Behaviour{})
	}
	list := s.do("dead-letters list -cause invalid_packet", "web-1")
	if strings.Count(list, "invalid_packet") != 3 {
		t.Error(list)
	}
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	s.do("dead-letters show "+id, `"emitter_id": "web-1"`)
	s.do("dead-letters delete "+id, "1 dead letters were deleted")
	s.do("dead-letters replay -cause invalid_packet -dry-run", "2 dead letters would be sent again")
	if _, _, err := invoke(t, s.server, "", "dead-letters", "replay", "-cause", "invalid_packet", "-expect", "1"); ExitCode(err) != ExitFailed {
		t.Error(err)
	}
	s.do("dead-letters replay -cause invalid_packet -expect 2 -wait", "is done: of 2 dead letters 2 were sent again, 0 failed")
	s.do("dead-letters replays", "is done")
	s.do("dead-letters delete -dry-run", "2 dead letters would be deleted")
	s.do("dead-letters replay -dry-run", "0 dead letters would be sent again")
	taken := 0
	for _, a := range s.analyzers {
		taken += len(a.Taken())
	}
	if taken == 0 {
		t.Error("nothing was delivered again")
	}
}
