package admin

import "testing"

func TestBreaker(t *testing.T) {
	s := startSystem(t, "")
	for _, query := range []string{"?dry_run=true", ""} {
		opened := s.ok("POST", "/v1/analyzers/a2/breaker"+query, `{"action":"open","ttl":"10m","reason":"broken disk"}`)
		if opened.get("changed.0.path") != "analyzers/a2/breaker" || opened.get("changed.0.old") != "closed" || opened.get("changed.0.new") != "open" || opened.get("projected.1.share") != 0.0 {
			t.Errorf("%s: %s", query, opened.text)
		}
	}
	if closed := s.ok("POST", "/v1/analyzers/a2/breaker?dry_run=true", `{"action":"reset"}`); closed.get("projected.1.share") != 0.4 {
		t.Errorf("%s", closed.text)
	}
	if one := s.ok("GET", "/v1/analyzers/a2", ""); one.get("status.breaker") != "open" || one.get("status.out") != "breaker_open" || one.get("status.until") == nil {
		t.Errorf("%s", one.text)
	}
	s.ok("POST", "/v1/analyzers/a2/breaker", `{"action":"reset"}`)
	if one := s.ok("GET", "/v1/analyzers/a2", ""); one.get("status.breaker") != "closed" {
		t.Errorf("%s", one.text)
	}
	s.want(422, invalidSetting, "POST", "/v1/analyzers/a2/breaker", `{"action":"smash"}`)
	s.want(404, notFound, "POST", "/v1/analyzers/none/breaker", `{"action":"reset"}`)
}
