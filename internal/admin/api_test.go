package admin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestStatus(t *testing.T) {
	s := startSystem(t, "")
	s.send("web-1", 10)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.delivered.packets") == 10.0 })
	got := s.ok("GET", "/v1/status", "")
	for path, want := range map[string]any{
		"state": "normal", "ready": true, "intake": "open", "dispatch": "running", "version": "1.2.3", "revision": float64(s.Revision()), "overrides": 0.0,
		"analyzers.total": 2.0, "analyzers.healthy": 2.0, "ledger.accepted.messages": 10.0, "ledger.unaccounted_messages": 0.0, "last_reload.successful": true,
	} {
		if value := got.get(path); value != want {
			t.Errorf("%s is %v, want %v", path, value, want)
		}
	}
	if s.ok("GET", "/v1/history", "").get("boot") != got.get("boot") {
		t.Error("the boot of the status is not that of the history")
	}
	s.ok("HEAD", "/v1/status", "")
}

// The response to a change has the changed values and the warnings, and the change is in force.
func TestAnalyzers(t *testing.T) {
	s := startSystem(t, "")
	list := s.ok("GET", "/v1/analyzers", "")
	if list.get("analyzers.0.id") != "a1" || list.get("analyzers.1.spec.weight") != 0.4 || list.get("analyzers.0.status.target_share") != 0.6 {
		t.Errorf("%s", list.text)
	}
	before := s.Revision()
	preview := s.ok("PATCH", "/v1/analyzers/a2?dry_run=true", `{"weight":1.8}`, "Content-Type", "application/merge-patch+json")
	if preview.get("dry_run") != true || preview.get("projected.1.share") != 0.75 || s.Revision() != before {
		t.Errorf("%s", preview.text)
	}
	changed := s.ok("PATCH", "/v1/analyzers/a2", `{"weight":1.8,"reason":"more memory"}`, "If-Match", list.Header.Get("ETag"))
	if changed.get("changed.0.path") != "analyzers/a2/weight" || changed.get("changed.0.new") != 1.8 || changed.get("projected.1.share") != 0.75 {
		t.Errorf("%s", changed.text)
	}
	one := s.ok("GET", "/v1/analyzers/a2", "")
	if one.get("spec.weight") != 1.8 || one.Header.Get("ETag") != fmt.Sprintf(`"%d"`, before+1) || changed.Header.Get("ETag") != one.Header.Get("ETag") {
		t.Errorf("%v %s", one.Header, one.text)
	}
	s.want(412, staleRevision, "PATCH", "/v1/analyzers/a2", `{"weight":1}`, "If-Match", list.Header.Get("ETag"))

	added := s.want(201, "", "POST", "/v1/analyzers", fmt.Sprintf(`{"id":"a3","url":%q,"weight":1}`, s.analyzers[2].URL()))
	if added.Header.Get("Location") != "/v1/analyzers/a3" {
		t.Errorf("Location is %q", added.Header.Get("Location"))
	}
	s.ok("GET", "/v1/analyzers/a3", "")
	s.ok("POST", "/v1/analyzers?dry_run=true", `{"url":"http://127.0.0.1:9","weight":1}`)
	s.want(409, conflict, "POST", "/v1/analyzers", fmt.Sprintf(`{"id":"a3","url":%q,"weight":1}`, s.analyzers[2].URL()))
	s.want(422, invalidSetting, "POST", "/v1/analyzers", `{"id":"a4","url":"ftp://x","weight":1}`)
	s.want(422, invalidSetting, "PATCH", "/v1/analyzers/a3", `{"weight":-1}`)
	s.want(422, invalidSetting, "PATCH", "/v1/analyzers/a3", `{"state":"off"}`)
	s.want(404, notFound, "PATCH", "/v1/analyzers/none", `{"weight":1}`)
	s.want(404, notFound, "GET", "/v1/analyzers/none", "")

	s.want(428, preconditionRequired, "PUT", "/v1/analyzers", `{"analyzers":[]}`)
	whole := fmt.Sprintf(`{"analyzers":[{"id":"a1","url":%q,"weight":2},{"id":"a3","url":%q,"weight":1}]}`, s.analyzers[0].URL(), s.analyzers[2].URL())
	s.want(412, staleRevision, "PUT", "/v1/analyzers", whole, "If-Match", list.Header.Get("ETag"))
	s.want(412, staleRevision, "PUT", "/v1/analyzers", whole, "If-Match", "W/"+added.Header.Get("ETag"))
	s.ok("PUT", "/v1/analyzers?dry_run=true", whole, "If-Match", "*")
	s.ok("PUT", "/v1/analyzers?dry_run=true", " "+strings.TrimSuffix(strings.TrimPrefix(whole, `{"analyzers":`), "}"), "If-Match", "*") // the list itself
	s.want(400, malformed, "PUT", "/v1/analyzers", `[],"force":true`, "If-Match", "*")
	s.want(400, malformed, "PUT", "/v1/analyzers", `[`, "If-Match", "*")
	s.want(422, invalidSetting, "PUT", "/v1/analyzers", `{"analyzers":[]}`, "If-Match", added.Header.Get("ETag"))
	s.ok("PUT", "/v1/analyzers?dry_run=true", whole, "If-Match", added.Header.Get("ETag"))
	s.want(202, "", "PUT", "/v1/analyzers", whole, "If-Match", added.Header.Get("ETag")) // a2 is drained and removed
	list = s.ok("GET", "/v1/analyzers", "")
	if list.get("analyzers.1.id") != "a3" || list.get("analyzers.0.spec.weight") != 2.0 || list.get("analyzers.2") != nil {
		t.Errorf("%s", list.text)
	}
}

// A drain is answered at once, and its proof is available later.
func TestDrain(t *testing.T) {
	s := startSystem(t, "")
	started := s.want(202, "", "PATCH", "/v1/analyzers/a2", `{"state":"drain","deadline":"5s"}`)
	path := started.Header.Get("Location")
	drain := s.ok("GET", path+"?wait=60s", "")
	if drain.get("running") != false || drain.get("proof.result") != "drained" || drain.get("proof.unaccounted") != 0.0 || drain.get("analyzer") != "a2" {
		t.Errorf("%s", drain.text)
	}
	if one := s.ok("GET", "/v1/analyzers/a2", ""); one.get("drain.proof.result") != "drained" || one.get("status.out") != "drain" || one.get("spec.state") != "drain" {
		t.Errorf("%s", one.text)
	}
	s.want(202, "", "PATCH", "/v1/analyzers/a2", `{"state":"maint"}`)
	if before := s.ok("GET", path, ""); before.get("proof.result") != "drained" {
		t.Errorf("another drain has begun: %s", before.text)
	}
	s.want(409, lastAnalyzer, "PATCH", "/v1/analyzers/a1", `{"state":"maint"}`)
	s.want(202, "", "PATCH", "/v1/analyzers/a1", `{"state":"maint","force":true}`)
	s.want(503, noAnalyzer, "GET", "/-/ready", "")
	s.ok("PATCH", "/v1/analyzers/a1", `{"state":"ready"}`)
	if list := s.ok("GET", "/v1/drains", ""); list.get("drains.1") == nil {
		t.Errorf("%s", list.text)
	}
	s.want(404, notFound, "GET", "/v1/drains/none", "")

	s.ok("DELETE", "/v1/analyzers/a2?dry_run=true", "")
	removed := s.want(202, "", "DELETE", "/v1/analyzers/a2?deadline=5s", `{"reason":"sold"}`)
	drain = s.ok("GET", removed.Header.Get("Location")+"?wait=60s", "")
	if drain.get("kind") != "remove" || drain.get("proof.result") != "drained" {
		t.Errorf("%s", drain.text)
	}
	s.want(404, notFound, "GET", "/v1/analyzers/a2", "")
	s.want(409, lastAnalyzer, "DELETE", "/v1/analyzers/a1", "")
	s.want(404, notFound, "DELETE", "/v1/analyzers/a2", "")
	events := string(s.ok("GET", "/v1/events", "").text)
	if strings.Contains(events, `"proof":{"result":""`) {
		t.Errorf("a drain that begins has a proof: %s", events)
	}
	for _, text := range []string{`"kind":"drained"`, `"routed_since":0`, `"reason":"sold"`} {
		if !strings.Contains(events, text) {
			t.Errorf("the events lack %s: %s", text, events)
		}
	}
}

func TestSettings(t *testing.T) {
	s := startSystem(t, "")
	all := s.ok("GET", "/v1/settings", "")
	if all.get("settings.log_level.value") != "info" || all.get("settings.log_level.origin") != "default" || all.get("settings.port") != nil {
		t.Errorf("%s", all.text)
	}
	changed := s.ok("PATCH", "/v1/settings", `{"log_level":"debug","rate_limit":100,"ttl":"15m","reason":"look closer"}`)
	if changed.get("changed.0.path") != "settings/rate_limit" && changed.get("changed.1.path") != "settings/rate_limit" {
		t.Errorf("%s", changed.text)
	}
	all = s.ok("GET", "/v1/settings", "")
	if all.get("settings.log_level.value") != "debug" || all.get("settings.log_level.overridden") != true || all.get("settings.log_level.expires") == nil {
		t.Errorf("%s", all.text)
	}
	s.ok("PATCH", "/v1/settings", `{"log_level":null,"intake":"paused"}`)
	if got := s.ok("GET", "/v1/status", ""); got.get("intake") != "paused" || got.get("ready") != false {
		t.Errorf("%s", got.text)
	}
	s.want(503, "paused", "GET", "/-/ready", "")
	if all = s.ok("GET", "/v1/settings", ""); all.get("settings.log_level.value") != "info" {
		t.Errorf("%s", all.text)
	}
	refused := s.want(422, invalidSetting, "PATCH", "/v1/settings", `{"rate_limit":-1}`)
	if refused.get("key") != "rate_limit" || refused.get("value") != -1.0 || refused.get("allowed") == nil {
		t.Errorf("%s", refused.text)
	}
	s.want(409, restartRequired, "PATCH", "/v1/settings", `{"port":1}`)
	s.want(422, invalidSetting, "PATCH", "/v1/settings", `{"rate_limt":1}`)
	s.want(422, invalidSetting, "PATCH", "/v1/settings", `{"admin_token":"secret"}`)
	s.want(400, malformed, "PATCH", "/v1/settings", `{"ttl":"1m"}`)
	s.want(412, staleRevision, "PATCH", "/v1/settings", `{"rate_limit":1}`, "If-Match", `"1"`)
}

// An emitter id may hold any bytes.
func TestLimits(t *testing.T) {
	s := startSystem(t, "")
	const emitter = "web/1 ä?&=%2F"
	path := "/v1/limits?" + url.Values{"emitter": {emitter}}.Encode()
	if got := s.ok("GET", path, ""); got.get("rate") != 0.0 || got.get("burst") != 0.0 || got.get("limits.0.rate") != 0.0 || got.get("limits.0.emitter") != emitter || got.get("limits.0.overridden") != false {
		t.Errorf("%s", got.text)
	}
	s.ok("PUT", path, `{"rate":100,"burst":200,"ttl":"1h"}`)
	if one := s.ok("GET", path, ""); one.get("rate") != 100.0 || one.get("burst") != 200.0 {
		t.Errorf("%s", one.text)
	}
	got := s.ok("GET", "/v1/limits", "")
	if got.get("rate") != nil || got.get("limits.0.rate") != 100.0 || got.get("limits.0.emitter") != emitter || got.get("limits.0.overridden") != true || got.get("limits.0.expires") == nil {
		t.Errorf("%s", got.text)
	}
	s.want(422, invalidSetting, "PUT", path, `{"rate":-1}`)
	s.want(400, malformed, "PUT", path, `{"burst":1}`)
	s.want(400, malformed, "PUT", "/v1/limits", `{"rate":1}`)
	s.want(400, malformed, "PUT", "/v1/limits?emitter=%ff", `{"rate":1}`)
	s.want(400, malformed, "PUT", "/v1/limits?emitter="+strings.Repeat("x", packet.MaxIDBytes+1), `{"rate":1}`)
	key := "/v1/overrides/limits/" + url.PathEscape(emitter)
	if got := s.ok("GET", key, ""); got.get("path") != "limits/"+emitter {
		t.Errorf("%s", got.text)
	}
	s.ok("DELETE", path, "")
	s.want(404, notFound, "DELETE", path, "")

	if got := s.ok("PUT", path, `{"rate":0}`); got.get("warnings.0") != nil { // without a limit, whatever that of all emitters is
		t.Errorf("%s", got.text)
	}
	s.ok("PATCH", "/v1/settings", `{"rate_limit":5}`)
	if got := s.ok("GET", path, ""); got.get("limits.0.rate") != 0.0 || got.get("limits.0.overridden") != true {
		t.Errorf("%s", got.text)
	}
}

func TestOverrides(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PATCH", "/v1/analyzers/a2", `{"weight":2,"reason":"why"}`)
	s.ok("PATCH", "/v1/settings", `{"rate_limit":5,"ttl":"1h"}`)
	list := s.ok("GET", "/v1/overrides", "")
	if list.get("overrides.0.path") != "analyzers/a2/weight" || list.get("overrides.0.value") != 2.0 || list.get("overrides.0.base") != 0.4 ||
		list.get("overrides.0.reason") != "why" || list.get("overrides.0.actor") != "local" || list.get("overrides.1.expires") == nil {
		t.Errorf("%s", list.text)
	}
	if one := s.ok("GET", "/v1/overrides/analyzers/a2/weight", ""); one.get("base") != 0.4 {
		t.Errorf("%s", one.text)
	}
	s.want(404, notFound, "GET", "/v1/overrides/settings/log_level", "")
	s.want(404, notFound, "DELETE", "/v1/overrides/settings/log_level", "")
	s.ok("DELETE", "/v1/overrides/analyzers/a2/weight", "")
	if one := s.ok("GET", "/v1/analyzers/a2", ""); one.get("spec.weight") != 0.4 {
		t.Errorf("%s", one.text)
	}
	s.ok("DELETE", "/v1/overrides?dry_run=true", "")
	s.ok("DELETE", "/v1/overrides", "")
	if list := s.ok("GET", "/v1/overrides", ""); list.get("overrides.0") != nil {
		t.Errorf("%s", list.text)
	}
	added := fmt.Sprintf(`{"id":"a3","url":%q,"weight":1}`, s.analyzers[2].URL())
	s.want(201, "", "POST", "/v1/analyzers", added)
	s.want(202, "", "DELETE", "/v1/overrides/analyzers/a3", "")
	s.until("a3 has left", func() bool { return s.ok("GET", "/v1/drains", "").get("drains.0.running") == false })
	s.want(201, "", "POST", "/v1/analyzers", added)
	s.want(202, "", "DELETE", "/v1/overrides", "")
}

func TestConfigAndReload(t *testing.T) {
	s := startSystem(t, "admin_token: hidden-from-people\n")
	s.header["Authorization"] = "Bearer hidden-from-people"
	s.ok("PATCH", "/v1/settings", `{"rate_limit":7}`)
	text := string(s.ok("GET", "/v1/config?format=yaml", "").text)
	if !strings.Contains(text, "rate_limit: 7") || strings.Contains(text, "hidden") || !strings.Contains(text, "id: a2") {
		t.Errorf("%s", text)
	}
	s.want(400, malformed, "GET", "/v1/config?format=xml", "")

	analyzers := fmt.Sprintf("admin_token: hidden-from-people\nanalyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}]\n", s.analyzers[0].URL(), s.analyzers[1].URL())
	s.configure(analyzers + "sender_retries: 9\n")
	s.ok("POST", "/v1/reload?dry_run=true", "")
	done := s.ok("POST", "/-/reload", `{"reason":"as planned"}`)
	if done.get("changed.0.path") != "settings/sender_retries" || done.get("changed.0.new") != 9.0 {
		t.Errorf("%s", done.text)
	}
	s.configure(analyzers + "sender_retries: -1\n")
	s.want(422, invalidSetting, "POST", "/v1/reload", "")
	s.want(422, invalidSetting, "POST", "/-/reload", "")
	if got := s.ok("GET", "/v1/status", ""); got.get("last_reload.successful") != false || !strings.Contains(got.get("last_reload.detail").(string), "sender_retries") {
		t.Errorf("%s", got.text)
	}
	s.configure(analyzers + "max_body_bytes: 77777\njournal: disk\n")
	s.want(409, restartRequired, "POST", "/v1/reload", "")
	s.want(409, restartRequired, "POST", "/-/reload", "")

	s.configure(strings.Replace(analyzers, "hidden-from-people", "another-of-operators", 1))
	if reloaded := s.ok("POST", "/v1/reload", ""); reloaded.get("shadowed") == nil {
		t.Errorf("a reload does not list what is shadowed: %s", reloaded.text)
	}
	s.want(401, unauthorized, "GET", "/v1/status", "")
	s.header["Authorization"] = "Bearer another-of-operators"
	s.ok("GET", "/v1/status", "")
}

func TestUpgrade(t *testing.T) {
	s := startSystem(t, "")
	s.ok("POST", "/v1/upgrade?dry_run=true", "")
	if s.upgrader.requests != 0 {
		t.Error("a dry run upgrades")
	}
	s.want(202, "", "POST", "/v1/upgrade", `{"reason":"1.2.4"}`)
	s.upgrader.err = errors.New("the preflight failed")
	s.want(409, conflict, "POST", "/v1/upgrade", "")
	s.want(409, conflict, "POST", "/v1/upgrade?dry_run=true", "")
	s.server.api.upgrader = nil
	s.want(409, conflict, "POST", "/v1/upgrade", "")
}

// startWithDeadLetters returns a system with five dead letters of the emitter web-1.
func startWithDeadLetters(t *testing.T) *system {
	s := startSystem(t, "")
	for _, one := range s.analyzers {
		one.Behave(analyzertest.Behaviour{Status: 422})
	}
	s.send("web-1", 5)
	s.until("there are dead letters", func() bool { return s.ok("GET", "/v1/status", "").get("ledger.dead_lettered.packets") == 5.0 })
	return s
}

const replayPath, deletePath = "/v1/dead-letters/replay", "/v1/dead-letters/delete"

func TestDeadLettersAreListed(t *testing.T) {
	s := startWithDeadLetters(t)
	first := s.ok("GET", "/v1/dead-letters?limit=2&emitter=web-1", "")
	rest := s.ok("GET", "/v1/dead-letters?after="+first.get("next").(string), "")
	if first.get("dead_letters.1.emitter_id") != "web-1" || first.get("dead_letters.0.packet") != nil || rest.get("dead_letters.2") == nil || rest.get("next") != nil {
		t.Errorf("%s\n%s", first.text, rest.text)
	}
	id := first.get("dead_letters.0.id").(string)
	if one := s.ok("GET", "/v1/dead-letters/"+id, ""); one.get("packet.emitter_id") != "web-1" || one.get("replayed") != false {
		t.Errorf("%s", one.text)
	}
	s.want(404, notFound, "GET", "/v1/dead-letters/20260101T000000.000000000Z-1-7", "")
	s.want(404, notFound, "GET", "/v1/dead-letters/x", "")
	s.want(400, malformed, "GET", "/v1/dead-letters?limit=0", "")
	s.want(400, malformed, "GET", "/v1/dead-letters?after=x", "")
}

func TestSelectionsOfDeadLetters(t *testing.T) {
	s := startWithDeadLetters(t)
	id := s.ok("GET", "/v1/dead-letters", "").get("dead_letters.0.id").(string)
	for _, path := range []string{replayPath, deletePath} {
		for _, body := range []string{`{}`, `{"ids":[]}`, `{"filter":{}}`, `{"expect_count":1}`, `{"ids":["x"],"expect_count":1}`, `{"ids":["x"],"filter":{},"expect_count":1}`, `{"ids":"x"}`, `{"filter":{"x":1},"expect_count":1}`} {
			s.want(400, malformed, "POST", path, body)
			s.want(400, malformed, "POST", path+"?dry_run=true", body)
		}
		s.want(409, conflict, "POST", path, `{"filter":{},"expect_count":4}`)
		s.want(409, conflict, "POST", path+"?dry_run=true", `{"filter":{},"expect_count":4}`)
		s.want(404, notFound, "POST", path, fmt.Sprintf(`{"ids":[%q]}`, strings.TrimSuffix(id, "-0")+"-9"))
		s.want(404, notFound, "POST", path, `{"ids":["x"]}`)
		s.want(404, notFound, "POST", path+"?dry_run=true", `{"ids":["x"]}`)
		if got := s.ok("POST", path+"?dry_run=true", `{"filter":{"emitter":"web-1"},"expect_count":5}`); got.get("matched") != 5.0 {
			t.Errorf("%s", got.text)
		}
		if got := s.ok("POST", path+"?dry_run=true", fmt.Sprintf(`{"ids":[%q]}`, id)); got.get("matched") != 1.0 {
			t.Errorf("%s", got.text)
		}
	}
	s.want(400, malformed, "POST", replayPath, `{"filter":{},"expect_count":5,"rate":-1}`)
	s.want(400, malformed, "POST", replayPath+"?dry_run=true", `{"filter":{},"expect_count":5,"rate":-1}`)
}

func TestDeadLettersAreReplayedAndDeleted(t *testing.T) {
	s := startWithDeadLetters(t)
	id := s.ok("GET", "/v1/dead-letters", "").get("dead_letters.0.id").(string)
	for _, one := range s.analyzers {
		one.Behave(analyzertest.Behaviour{})
	}
	started := s.want(202, "", "POST", replayPath, fmt.Sprintf(`{"ids":[%q],"reason":"mended"}`, id))
	done := s.ok("GET", started.Header.Get("Location")+"?wait=60s", "")
	if done.get("state") != "done" || done.get("replayed") != 1.0 {
		t.Errorf("%s", done.text)
	}
	started = s.want(202, "", "POST", replayPath, `{"filter":{},"expect_count":4,"rate":0.001}`)
	canceled := s.ok("DELETE", started.Header.Get("Location"), `{"reason":"too slow"}`)
	s.until("the replay is canceled", func() bool { return s.ok("GET", started.Header.Get("Location"), "").get("state") == "canceled" })
	if list := s.ok("GET", "/v1/dead-letters/replays", ""); list.get("replays.1") == nil || canceled.get("id") == nil {
		t.Errorf("%s", list.text)
	}
	s.want(404, notFound, "GET", "/v1/dead-letters/replays/none", "")
	s.want(404, notFound, "DELETE", "/v1/dead-letters/replays/77", "")
	count := len(s.ok("GET", "/v1/dead-letters", "").get("dead_letters").([]any))
	if got := s.ok("POST", deletePath, fmt.Sprintf(`{"filter":{},"expect_count":%d}`, count)); got.get("matched") != float64(count) {
		t.Errorf("%s", got.text)
	}
	if list := s.ok("GET", "/v1/dead-letters", ""); list.get("dead_letters.0") != nil {
		t.Errorf("%s", list.text)
	}
}

// The token of a login is in the body, or else in Authorization.
func TestLoginWithBearer(t *testing.T) {
	s := startSystem(t, "admin_token: secret-of-operators\n")
	s.want(401, unauthorized, "POST", "/v1/session", "", "Authorization", "Bearer guess")
	s.want(400, malformed, "POST", "/v1/session", "", "Authorization", "Basic guess")
	s.want(201, "", "POST", "/v1/session", "", "Authorization", "Bearer secret-of-operators")
}

func TestSessionOfABrowser(t *testing.T) {
	s := startSystem(t, "admin_token: secret-of-operators\n")
	s.want(401, unauthorized, "GET", "/v1/session", "")
	s.want(401, unauthorized, "POST", "/v1/session", `{"token":"guess"}`)
	login := s.want(201, "", "POST", "/v1/session", `{"token":"secret-of-operators"}`)
	cookie := login.Cookies()[0]
	got := s.ok("GET", "/v1/session", "", "Cookie", cookie.Name+"="+cookie.Value)
	if got.get("by") != "session" || got.get("role") != "operate" || got.get("expires") == nil {
		t.Errorf("%s", got.text)
	}
	if records := readRecords(t, s.Config().Distributor.DataDir); len(records) != 3 || strings.Contains(fmt.Sprint(records), "secret") || records[2].Actor != "ADMIN_TOKEN" {
		t.Errorf("%+v", records)
	}
	s.want(204, "", "DELETE", "/v1/session", "", "Cookie", cookie.Name+"="+cookie.Value)
	s.want(401, unauthorized, "GET", "/v1/session", "", "Cookie", cookie.Name+"="+cookie.Value)

	open := startSystem(t, "")
	open.want(409, conflict, "POST", "/v1/session", `{"token":"secret-of-operators"}`)
	if got := open.ok("GET", "/v1/session", ""); got.get("by") != "loopback" || got.get("role") != "operate" {
		t.Errorf("%s", got.text)
	}
	open.ok("GET", "/-/ready", "")
	open.ok("GET", "/-/healthy", "")
	open.ok("GET", "/v1/openapi.json", "")
}

// The audit log has a change and its response before the response is sent.
func TestChangesAreAudited(t *testing.T) {
	s := startSystem(t, "")
	s.ok("GET", "/v1/status", "")
	s.ok("PATCH", "/v1/analyzers/a2?dry_run=true", `{"weight":2}`)
	changed := s.ok("PATCH", "/v1/analyzers/a2", `{"weight":2,"reason":"why","ttl":"1h"}`)
	s.want(412, staleRevision, "PATCH", "/v1/analyzers/a2", `{"weight":3}`, "If-Match", `"1"`)
	records := readRecords(t, s.Config().Distributor.DataDir)
	if len(records) != 3 {
		t.Fatalf("%+v", records)
	}
	preview, done, stale := records[0], records[1], records[2]
	if !preview.DryRun || len(preview.Changed) != 1 {
		t.Errorf("%+v", preview)
	}
	if done.DryRun || done.Status != 200 || done.Actor != "local" || done.By != "loopback" || done.Reason != "why" || done.TTL != "1h0m0s" ||
		float64(done.Revision) != changed.get("revision") || done.Changed[0].Path != "analyzers/a2/weight" || done.Changed[0].New != 2.0 {
		t.Errorf("%+v", done)
	}
	if stale.Status != 412 || stale.Code != "stale_revision" || stale.IfMatch != `"1"` {
		t.Errorf("%+v", stale)
	}
}

func TestBacklog(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PATCH", "/v1/settings", `{"dispatch":"paused"}`)
	s.send("web-1", 30)
	s.send("web-2", 10)
	got := s.ok("GET", "/v1/backlog?top=1", "")
	if got.get("total.packets") != 40.0 || got.get("by_emitter.0.emitter") != "web-1" || got.get("by_emitter.0.messages") != 30.0 || got.get("by_emitter.1") != nil || got.get("by_place.5.analyzer") != "a2" {
		t.Errorf("%s", got.text)
	}
	s.ok("PATCH", "/v1/settings", `{"dispatch":null}`)
	s.until("all is delivered", func() bool { return s.ok("GET", "/v1/backlog", "").get("total.packets") == 0.0 })
}

// While the distributor stops, the API shows its state and refuses changes.
func TestDistributorStops(t *testing.T) {
	s := startSystem(t, "")
	lease := fmt.Sprintf(`{"url":%q,"weight":1}`, s.analyzers[2].URL())
	s.want(201, "", "PUT", "/v1/leases/a3", lease)
	_, _ = s.distributor.Stop(t.Context())
	s.want(503, unavailable, "PUT", "/v1/leases/a4", lease)
	s.want(503, unavailable, "DELETE", "/v1/leases/a3", "")
	s.want(503, unavailable, "PATCH", "/v1/analyzers/a1", `{"weight":7}`)
	s.want(503, "draining", "GET", "/-/ready", "")
	if got := s.ok("GET", "/v1/status", ""); got.get("ready") != false {
		t.Errorf("%s", got.text)
	}
	for _, path := range []string{"/v1/tap", "/v1/stream"} {
		s.want(503, unavailable, "GET", path, "")
	}
}
