package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A change that leaves no analyzer ready needs force, whatever the kind of change.
func TestLastReadyAnalyzer(t *testing.T) {
	s := startSystem(t, "")
	tag := func() string { return s.ok("GET", "/v1/analyzers", "").Header.Get("ETag") }
	list := func(state string) string {
		return fmt.Sprintf(`{"analyzers":[{"id":"a1","url":%q,"weight":1,"state":"drain"},{"id":"a2","url":%q,"weight":1,"state":%q}]`,
			s.analyzers[0].URL(), s.analyzers[1].URL(), state)
	}
	s.want(409, lastAnalyzer, "PUT", "/v1/analyzers", list("drain")+`}`, "If-Match", tag())
	s.want(409, lastAnalyzer, "PUT", "/v1/analyzers?dry_run=true", list("maint")+`}`, "If-Match", tag())
	s.want(202, "", "PUT", "/v1/analyzers", list("ready")+`}`, "If-Match", tag())
	s.want(409, lastAnalyzer, "DELETE", "/v1/analyzers/a2", "")
	s.want(409, lastAnalyzer, "PATCH", "/v1/analyzers/a2", `{"state":"maint"}`)
	s.want(202, "", "PUT", "/v1/analyzers", list("drain")+`,"force":true}`, "If-Match", tag())
	s.want(202, "", "PATCH", "/v1/analyzers/a2", `{"state":"maint"}`) // no analyzer was ready before

	// An analyzer that is ready only by an override can be the last ready analyzer, too.
	s.configure(fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 0.6, state: maint}, {id: a2, url: '%s', weight: 0.4, state: maint}]\n", s.analyzers[0].URL(), s.analyzers[1].URL()))
	s.ok("DELETE", "/v1/overrides?force=true", "")
	s.ok("POST", "/v1/reload", "")
	s.ok("PATCH", "/v1/analyzers/a1", `{"state":"ready"}`)
	s.want(409, lastAnalyzer, "DELETE", "/v1/overrides", "")
	s.want(409, lastAnalyzer, "DELETE", "/v1/overrides/analyzers/a1/state", "")
	s.want(202, "", "DELETE", "/v1/overrides/analyzers/a1/state", `{"force":true}`)
	s.ok("PATCH", "/v1/analyzers/a1", `{"state":"ready"}`)
	s.want(202, "", "DELETE", "/v1/analyzers/a1?force=true", "")
}

// A refusal names the key, the value and what is allowed.
func TestRefusalsNameTheValue(t *testing.T) {
	s := startSystem(t, "")
	first := s.analyzers[0].URL()
	for _, c := range []struct{ method, path, body, key, value string }{
		{"PATCH", "/v1/analyzers/a1", `{"weight":-1}`, "weight", `-1`},
		{"PATCH", "/v1/analyzers/a1", `{"state":"off"}`, "state", `"off"`},
		{"PATCH", "/v1/analyzers/a2", fmt.Sprintf(`{"url":%q}`, first), "url", fmt.Sprintf("%q", first)},
		{"PATCH", "/v1/analyzers/a2", `{"url":"ftp://x"}`, "url", ""},
		{"PATCH", "/v1/analyzers/a2", `{"state":"ready","deadline":"60s"}`, "deadline", `"1m0s"`},
		{"PATCH", "/v1/analyzers/a2", `{"weight":2,"deadline":"60s"}`, "deadline", `"1m0s"`},
		{"PATCH", "/v1/analyzers/a2", `{"state":"drain","deadline":"25h"}`, "deadline", `"25h0m0s"`},
		{"POST", "/v1/analyzers", `{"id":"x/y","url":"http://127.0.0.1:9","weight":1}`, "id", `"x/y"`},
		{"POST", "/v1/analyzers", `{"id":"a3","url":"http://127.0.0.1:9","weight":-1}`, "weight", `-1`},
		{"POST", "/v1/analyzers", fmt.Sprintf(`{"id":"a3","url":%q,"weight":1}`, first), "url", fmt.Sprintf("%q", first)},
		{"PUT", "/v1/analyzers", fmt.Sprintf(`{"analyzers":[{"id":"a1","url":%q,"weight":1},{"id":"a1","url":"http://127.0.0.1:9","weight":1}]}`, first), "id", `"a1"`},
		{"PUT", "/v1/limits?emitter=web-1", `{"rate":-1}`, "rate", `-1`},
		{"PUT", "/v1/limits?emitter=web-1", `{"rate":0,"burst":5}`, "burst", `5`},
		{"PATCH", "/v1/settings", `{"rate_burst":5}`, "rate_burst", `5`},
		{"PATCH", "/v1/settings", `{"analyzer_ca":"/none"}`, "analyzer_ca", `"/none"`},
		{"PATCH", "/v1/settings", `{"admin_tls_client_ca":"/none"}`, "admin_tls_client_ca", `"/none"`},
		{"PATCH", "/v1/settings", `{"admin_tokens_file":"/none"}`, "admin_tokens_file", `"/none"`},
		{"PATCH", "/v1/settings", `{"memory_limit_bytes":0}`, "memory_limit_bytes", `0`},
	} {
		refused := s.want(422, invalidSetting, c.method, c.path, c.body, "If-Match", s.ok("GET", "/v1/analyzers", "").Header.Get("ETag"))
		value := ""
		if v := refused.get("value"); v != nil {
			text, _ := json.Marshal(v)
			value = string(text)
		}
		if refused.get("key") != c.key || value != c.value || refused.get("allowed") == nil {
			t.Errorf("%s %s %s: %s", c.method, c.path, c.body, refused.text)
		}
	}
	for lines, key := range map[string]string{"max_failures: -1\n": "max_failures", "rate_burst: 5\n": "rate_burst", "limits: [{emitter: e, rate: -1}]\n": "rate"} {
		s.configure(fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}]\n%s", first, s.analyzers[1].URL(), lines))
		if refused := s.want(422, invalidSetting, "POST", "/v1/reload", ""); refused.get("key") != key || refused.get("value") == nil || refused.get("allowed") == nil {
			t.Errorf("%s: %s", lines, refused.text)
		}
	}
}

// The body of a request that needs no credential is limited to few bytes.
func TestBodiesWithoutCredential(t *testing.T) {
	s := startSystem(t, "")
	s.want(413, tooLarge, "DELETE", "/v1/session", strings.Repeat(" ", maxPublicBytes+1))
}

// A removal or a revert with a ttl reverts itself; clients that send no body give the ttl as a
// parameter.
func TestTTLOfRemoval(t *testing.T) {
	s := startSystem(t, "")
	s.want(202, "", "DELETE", "/v1/analyzers/a2?ttl=1ms&reason=noise", "")
	s.until("the analyzer is back", func() bool { return len(s.Config().Distributor.Targets) == 2 })
	s.want(202, "", "DELETE", "/v1/analyzers/a2?ttl=1h&reason=noise", "")
	if one := s.ok("GET", "/v1/overrides/analyzers/a2", ""); one.get("reason") != "noise" || one.get("expires") == nil {
		t.Errorf("%s", one.text)
	}
	s.ok("DELETE", "/v1/overrides", "")
	s.want(400, malformed, "DELETE", "/v1/analyzers/a2?ttl=1h", `{"reason":"both"}`)
	s.want(400, malformed, "DELETE", "/v1/analyzers/a2?ttl=soon", "")
	s.want(400, malformed, "DELETE", "/v1/analyzers/a2?force=perhaps", "")

	s.ok("PATCH", "/v1/settings", `{"rate_limit":5}`)
	s.ok("PATCH", "/v1/analyzers/a2", `{"weight":2}`)
	s.ok("DELETE", "/v1/overrides?ttl=1h", "")
	if c := s.Config().Distributor; c.Rate.Rate != 0 || c.Targets[1].Weight != 0.4 {
		t.Errorf("not reverted: %v, %v", c.Rate.Rate, c.Targets)
	}
	for _, one := range s.Overrides() {
		if one.Expires == nil {
			t.Errorf("%+v does not expire", one)
		}
	}
	s.ok("DELETE", "/v1/overrides", "")
	s.ok("PATCH", "/v1/settings", `{"rate_limit":5}`)
	s.ok("PATCH", "/v1/settings", `{"rate_limit":null,"ttl":"1ms"}`)
	s.until("the limit is back", func() bool { return s.Config().Distributor.Rate.Rate == 5 })
}

// A dry run is refused whenever the change is refused.
func TestDryRunOfARefusal(t *testing.T) {
	s := startSystem(t, "")
	const body = `{"analyzer_ca":"/none"}`
	real := s.want(422, invalidSetting, "PATCH", "/v1/settings", body)
	dry := s.want(422, invalidSetting, "PATCH", "/v1/settings?dry_run=true", body)
	if real.get("key") != "analyzer_ca" || string(real.text) != string(dry.text) {
		t.Errorf("%s, a dry run %s", real.text, dry.text)
	}
}

// A limit that is lowered below what is held refuses packets, not the change.
func TestLoweredLimit(t *testing.T) {
	s := startSystem(t, "per_analyzer_queue_size: 100\n")
	s.ok("PATCH", "/v1/settings", `{"dispatch":"paused"}`)
	s.send("web-1", 20)
	s.until("the packets are queued", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.queued.packets") == 20.0 })
	s.ok("PATCH", "/v1/settings?dry_run=true", `{"ingest_buffer_size":10}`)
	s.ok("PATCH", "/v1/settings", `{"ingest_buffer_size":10}`)
	if status := s.ok("GET", "/v1/status", ""); status.get("refusal.code") != "overloaded" || status.get("ledger.queued.packets") != 20.0 {
		t.Errorf("%s", status.text)
	}
	s.ok("PATCH", "/v1/settings", `{"dispatch":"running"}`)
	s.until("packets are accepted again", func() bool { return s.ok("GET", "/v1/status", "").get("ready") == true })
}

// The bound in the response is the one after the change.
func TestBoundAfterTheChange(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 50)
	bound := func(body string) float64 {
		return s.ok("PATCH", "/v1/analyzers/a2?dry_run=true", body).get("bound_messages").(float64)
	}
	s.until("a packet is routed", func() bool { return bound(`{"weight":0.4}`) > 0 })
	added := s.ok("POST", "/v1/analyzers?dry_run=true", `{"id":"a3","url":"http://127.0.0.1:9","weight":1}`).get("bound_messages").(float64)
	if two := bound(`{"weight":0.4}`); two != 0.5 || added <= two {
		t.Errorf("with two analyzers %v, with three %v", two, added)
	}
	if alone := s.ok("DELETE", "/v1/analyzers/a2?dry_run=true", "").get("bound_messages"); alone != 0.0 {
		t.Errorf("with one analyzer %v", alone)
	}
}
