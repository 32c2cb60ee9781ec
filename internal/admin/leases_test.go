package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

const registerToken = "secret-of-a-fleet-0123456789"

// startFleet starts a system with tokens of the role register, and returns their headers.
func startFleet(t *testing.T, lines string) (s *system, fleet, other []string) {
	t.Helper()
	path := withTokens(t).TokensFile
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"fleet": registerToken, "other": registerToken + "-2"} {
		sum := sha256.Sum256([]byte(token))
		fmt.Fprintf(file, "%s register sha256:%s\n", name, hex.EncodeToString(sum[:]))
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	s = startSystem(t, "admin_token: secret-of-operators\nadmin_tokens_file: "+path+"\nhealth_check_interval_sec: 0.1\n"+lines)
	return s, []string{"Authorization", "Bearer " + registerToken}, []string{"Authorization", "Bearer " + registerToken + "-2"}
}

var operator = []string{"Authorization", "Bearer secret-of-operators"}

// An analyzer registers, renews its lease and leaves with a proof. Renewals are neither in the
// events nor in the audit log; a caller with the role register may change leases of its own and
// nothing else.
func TestLease(t *testing.T) {
	s, fleet, other := startFleet(t, "")
	a := s.analyzers[2]
	body := fmt.Sprintf(`{"url":%q,"weight":1,"group":"fleet"}`, a.URL())
	if tried := s.ok("PUT", "/v1/leases/a3?dry_run=true", body, fleet...); tried.get("dry_run") != true || tried.get("owner") != "fleet" || tried.get("weight") != 1.0 {
		t.Errorf("%s", tried.text)
	}
	if list := s.ok("GET", "/v1/leases", "", operator...); list.get("leases.0") != nil {
		t.Errorf("a dry run has registered an analyzer: %s", list.text)
	}
	first := s.want(201, "", "PUT", "/v1/leases/a3", body, fleet...)
	if first.get("ttl") != "30s" || first.get("owner") != "fleet" || first.get("state") != "active" || first.Header.Get("Location") != "/v1/analyzers/a3" {
		t.Errorf("%s", first.text)
	}
	for range 3 {
		s.ok("PUT", "/v1/leases/a3", body, fleet...)
	}
	s.want(409, conflict, "PUT", "/v1/leases/a3", body, other...)
	s.want(409, conflict, "PUT", "/v1/leases/a3?dry_run=true", body, other...)
	s.want(409, conflict, "DELETE", "/v1/leases/a3", "", other...)
	s.want(403, forbidden, "PUT", "/v1/leases/a3", body, "Authorization", "Bearer "+readToken)
	for _, one := range allRoutes() {
		if one.rights != register && one.rights != public {
			s.want(403, forbidden, one.method, one.example(), "", fleet...)
		}
	}
	s.until("the analyzer is healthy", func() bool { return s.ok("GET", "/v1/analyzers/a3", "", operator...).get("status.healthy") == true })
	got := s.ok("GET", "/v1/analyzers/a3", "", operator...)
	if got.get("group") != "fleet" || got.get("registered") != true || got.get("lease_expires") == nil || got.get("spec.weight") != 1.0 {
		t.Errorf("%s", got.text)
	}
	s.want(409, conflict, "PATCH", "/v1/analyzers/a3", `{"weight":2}`, operator...)
	s.ok("POST", "/v1/analyzers/a3/breaker", `{"action":"reset"}`, operator...)
	if list := s.ok("GET", "/v1/leases", "", operator...); list.get("leases.0.id") != "a3" {
		t.Errorf("%s", list.text)
	}
	if tried := s.ok("DELETE", "/v1/leases/a3?dry_run=true", "", fleet...); tried.get("dry_run") != true || s.ok("GET", "/v1/leases", "", operator...).get("leases.0.state") != "active" {
		t.Errorf("%s", tried.text)
	}
	s.send("web-1", 10)
	ended := s.ok("DELETE", "/v1/leases/a3?wait=30s&deadline=20s&reason=update", "", fleet...)
	if ended.get("drain.proof.result") != "drained" || ended.get("drain.proof.unaccounted") != 0.0 || ended.get("drain.analyzer") != "a3" {
		t.Errorf("%s", ended.text)
	}
	s.want(404, notFound, "DELETE", "/v1/leases/a3", "", fleet...)
	s.want(404, notFound, "GET", "/v1/analyzers/a3", "", operator...)

	s.wantOneRegistration("fleet")
}

// wantOneRegistration checks that the lease of analyzer a3 was granted once to an actor, and ended, in
// the events and in the audit log.
func (s *system) wantOneRegistration(actor string) {
	s.Helper()
	var kinds []string
	for _, e := range s.Events().After(0, 100) {
		if e.Path == "analyzers/a3" && e.Kind != "breaker" {
			kinds = append(kinds, e.Kind+" "+e.Actor)
		}
	}
	slices.Sort(kinds) // the drain may end before the request does
	if got := strings.Join(kinds, ", "); got != strings.ReplaceAll("drain_started A, drained A, lease_ended A, lease_granted A", "A", actor) {
		s.Errorf("events: %s", got)
	}
	var puts int
	for _, one := range readRecords(s, s.Config().Distributor.DataDir) {
		if one.Method == "PUT" && one.Actor == actor && one.Code == "" && !one.DryRun {
			puts++
		}
	}
	if puts != 1 {
		s.Errorf("%d registrations are in the audit log", puts)
	}
}

// A lease that cannot be an analyzer is refused, with the key, the value and what is allowed.
func TestRefusedLeases(t *testing.T) {
	s, fleet, _ := startFleet(t, "")
	_, ingest, _ := strings.Cut(s.distributor.Addr(), ":")
	for body, key := range map[string]string{
		`{"url":"ftp://10.0.0.1:9001","weight":1}`:                                    "url",
		`{"url":"dns+http://analyzers:9001","weight":1}`:                              "url",
		`{"url":"lease+http://analyzers","weight":1}`:                                 "url",
		`{"url":"otlp+http://10.0.0.1:9001","weight":1}`:                              "url",
		`{"url":"http://user:secret@10.0.0.1:9001","weight":1}`:                       "url",
		`{"url":"http://10.0.0.1:9001/?token_file=/etc/shadow","weight":1}`:           "url",
		`{"url":"http://10.0.0.1:9001/#f","weight":1}`:                                "url",
		`{"url":"http://","weight":1}`:                                                "url",
		`{"url":"/etc/passwd","weight":1}`:                                            "url",
		`{"url":"http://127.0.0.1:` + ingest + `","weight":1}`:                        "url",
		`{"url":"http://localhost:` + ingest + `","weight":1}`:                        "url",
		`{"url":"http://[::ffff:127.0.0.1]:` + ingest + `","weight":1}`:               "url",
		`{"url":"http://0.0.0.0:` + ingest + `","weight":1}`:                          "url",
		`{"url":"http://10.0.0.1:9001/` + strings.Repeat("a", 2000) + `","weight":1}`: "url",
		`{"url":"http://10.0.0.1:9001","weight":0}`:                                   "weight",
		`{"url":"http://10.0.0.1:9001","weight":-1}`:                                  "weight",
		`{"url":"http://10.0.0.1:9001","weight":1e300}`:                               "weight",
		`{"url":"http://10.0.0.1:9001","weight":1,"group":"A b"}`:                     "group",
		`{"url":"http://10.0.0.1:9001","weight":1,"group":"x1"}`:                      "group",
	} {
		got := s.want(422, invalidSetting, "PUT", "/v1/leases/x1", body, fleet...)
		if got.get("key") != key || got.get("value") == nil || got.get("allowed") == nil || strings.Contains(string(got.text), "secret") {
			t.Errorf("%s: %s", body, got.text)
		}
	}
	for _, id := range []string{"a%20b", "a%2Fb", ".", "..", "%2e%2e", ".a", "%C3%A4", "a%00", "%3E", "*", strings.Repeat("x", 300)} {
		s.want(422, invalidSetting, "PUT", "/v1/leases/"+id, `{"url":"http://10.0.0.1:9001","weight":1}`, fleet...)
	}
	s.want(400, malformed, "PUT", "/v1/leases/x1", `{"url":"http://10.0.0.1:9001"}`, fleet...)
	s.want(409, conflict, "PUT", "/v1/leases/x1", fmt.Sprintf(`{"url":%q,"weight":1}`, s.analyzers[0].URL()+"/"), fleet...)
	s.want(409, conflict, "PUT", "/v1/leases/a1", `{"url":"http://10.0.0.1:9001","weight":1}`, fleet...)
	s.want(409, conflict, "PUT", "/v1/leases/x1", `{"url":"http://10.0.0.1:9001","weight":1,"group":"a1"}`, fleet...)
}

// A drain that takes longer than the client waits continues, and a stop of the API ends the wait.
func TestLongDrainOfLease(t *testing.T) {
	s, fleet, _ := startFleet(t, "sender_timeout_ms: 30000\n")
	a := s.analyzers[2]
	body := fmt.Sprintf(`{"url":%q,"weight":1000}`, a.URL())
	s.want(201, "", "PUT", "/v1/leases/a3", body, fleet...)
	s.until("the analyzer is healthy", func() bool { return s.ok("GET", "/v1/analyzers/a3", "", operator...).get("status.healthy") == true })
	a.Behave(analyzertest.Behaviour{Hang: true})
	s.send("web-1", 50)
	s.until("the analyzer holds packets", func() bool {
		return s.ok("GET", "/v1/analyzers/a3", "", operator...).get("status.in_flight.packets") != 0.0
	})
	response := s.want(202, "", "DELETE", "/v1/leases/a3?wait=10ms&deadline=1h", "", fleet...)
	drain := response.Header.Get("Location")
	if !strings.HasPrefix(drain, "/v1/drains/drain-") || response.get("drain.running") != true {
		t.Errorf("%s %s", drain, response.text)
	}
	if got := s.ok("GET", drain, "", operator...); got.get("running") != true || got.get("left.packets") == 0.0 {
		t.Errorf("%s", got.text)
	}
	a.Behave(analyzertest.Behaviour{})
	s.until("the analyzer is drained", func() bool { return s.ok("GET", drain, "", operator...).get("running") == false })
}

// While the distributor stops, no analyzer can register or leave.
func TestLeasesAreRefusedWhileStopping(t *testing.T) {
	s, fleet, _ := startFleet(t, "")
	body := fmt.Sprintf(`{"url":%q,"weight":1}`, s.analyzers[2].URL())
	s.want(201, "", "PUT", "/v1/leases/a3", body, fleet...)
	if _, err := s.distributor.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	s.want(503, unavailable, "PUT", "/v1/leases/a4", `{"url":"http://127.0.0.1:1","weight":1}`, fleet...)
	s.want(503, unavailable, "DELETE", "/v1/leases/a3", "", fleet...)
}
