package ctl

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// system is a distributor with its admin API.
type system struct {
	*testing.T
	*admintest.System
}

func startSystem(t *testing.T) *system {
	t.Helper()
	return &system{t, admintest.StartSystem(t, t.TempDir(), "", 0.5, 0.5)}
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
	out, errs, err := invoke(s.T, &admintest.Server{URL: s.URL}, "", strings.Fields(line)...)
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
	response, err := http.Post("http://"+s.Distributor.Addr()+"/ingest?ack=delivered", "application/json", strings.NewReader(packet))
	s.must(err)
	_ = response.Body.Close()
	return response.StatusCode
}

// Every command works with the admin API itself.
func TestSystem(t *testing.T) {
	s := startSystem(t)
	s.do("status", "unaccounted", "2 of 2 healthy", "Version 1.2.3")
	s.do("analyzers", "a1", "50.0 %", "The limit of OFF BY is")
	s.do("weight a2 0.25 -dry-run", "this is a dry run", "analyzers/a2/weight", "66.7 %")
	s.do("weight a2 0.25 -ttl 15m -reason test", "Revision", "33.3 %")
	s.do("overrides", "analyzers/a2/weight", "test")
	s.do("revert analyzers/a2/weight", "analyzers/a2/weight")
	s.do("add a3 "+analyzertest.New(t).URL()+" 0.5", "analyzers/a3", "33.3 %")
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
	s.do("refusals", "No packets of a known emitter were refused lately.")
	s.do("events -limit 1000", "analyzers/a2/weight", "test")
	s.do("config", "analyzers:")
	s.do("history", `"columns": {`)
	s.do("session", `"role": "operate"`)
	s.do("explain analyzer a2", "a2")
	s.do("explain next -messages 50 -n 3", "ANALYZER")
	s.do("trace -for 1s", "logstreamer-trace/1")
	s.do("upgrade -dry-run")
	s.do("reload -dry-run", "dry run")
	s.do("reload", "Revision")
	s.do("revert -all -dry-run", "dry run")
	s.do("openapi", `"openapi": "3.1.0"`)
	if _, _, err := invoke(t, &admintest.Server{URL: s.URL}, "", "weight", "a2", "0.1", "-if-match", "1"); ExitCode(err) != ExitStale {
		t.Error(err)
	}
	if _, _, err := invoke(t, &admintest.Server{URL: s.URL}, "", "weight", "nobody", "0.1"); ExitCode(err) != ExitFailed {
		t.Error(err)
	}
	s.do("status", "unaccounted                    0")
}

func TestSystemDeadLetters(t *testing.T) {
	s := startSystem(t)
	for _, a := range s.Analyzers {
		a.Behave(analyzertest.Behaviour{Rejected: map[string]string{"1": "invalid_packet", "2": "invalid_packet", "3": "invalid_packet"}})
	}
	for _, id := range []string{"1", "2", "3"} {
		if status := s.post(id); status != http.StatusUnprocessableEntity {
			t.Fatal(id, status)
		}
	}
	for _, a := range s.Analyzers {
		a.Behave(analyzertest.Behaviour{})
	}
	list := s.do("dead-letters list -filter-reason invalid_packet", "web-1")
	if strings.Count(list, "invalid_packet") != 3 {
		t.Error(list)
	}
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	s.do("dead-letters show "+id, `"emitter_id": "web-1"`)
	s.do("dead-letters delete "+id, "1 dead letters were deleted")
	s.do("dead-letters replay -filter-reason invalid_packet -dry-run", "2 dead letters would be sent again")
	if _, _, err := invoke(t, &admintest.Server{URL: s.URL}, "", "dead-letters", "replay", "-filter-reason", "invalid_packet", "-expect", "1"); ExitCode(err) != ExitFailed {
		t.Error(err)
	}
	s.do("dead-letters replay -filter-reason invalid_packet -expect 2 -wait", "is done: of 2 dead letters 2 were sent again, 0 failed.\n")
	s.do("dead-letters replays", "is done")
	s.do("dead-letters delete -dry-run", "2 dead letters would be deleted")
	s.do("dead-letters replay -dry-run", "0 dead letters would be sent again")
	taken := 0
	for _, a := range s.Analyzers {
		taken += len(a.Taken())
	}
	if taken == 0 {
		t.Error("nothing was delivered again")
	}
}
