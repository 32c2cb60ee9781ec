package admin

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// example returns a path that matches a route.
func (r route) example() string {
	return strings.NewReplacer("{id}", "a1", "{operation}", "drain-1", "{key...}", "settings/rate_limit").Replace(r.path)
}

// Each route is guarded in the same way.
func TestEveryRouteIsGuarded(t *testing.T) {
	s := startSystem(t, "admin_token: secret-of-operators\nadmin_tokens_file: "+withTokens(t).TokensFile+"\n")
	for _, one := range allRoutes() {
		path, token := one.example(), []string{"Authorization", "Bearer secret-of-operators"}
		s.want(403, hostNotAllowed, one.method, path, "", "Host", "evil.example")
		if one.rights != public {
			s.want(401, unauthorized, one.method, path, "")
			s.want(403, crossOrigin, one.method, path, "", "Sec-Fetch-Site", "cross-site")
		}
		s.want(400, malformed, one.method, path+"?unknown=1", "", token...)
		if one.method == "GET" {
			continue
		}
		s.want(415, unsupportedMediaType, one.method, path, "", append(token, "Content-Type", "text/plain")...)
		if one.path != "/v1/session" {
			s.want(403, forbidden, one.method, path, "", "Authorization", "Bearer "+readToken)
			if one.path != "/v1/settings" {
				s.want(400, malformed, one.method, path, `{"unknown":1}`, token...)
			}
			s.want(400, malformed, one.method, path, `{"reason":1}`, token...)
		}
		if one.path != "/v1/session" || one.method != "DELETE" {
			s.want(413, tooLarge, one.method, path, strings.Repeat(" ", maxBodyBytes+1), token...)
		}
	}
}

// Every route refuses wrong credentials.
func TestEveryRouteLimitsFailures(t *testing.T) {
	s := startSystem(t, "admin_token: secret-of-operators\n")
	for range 5 {
		s.want(401, unauthorized, "GET", "/v1/status", "", "Authorization", "Bearer guess")
	}
	for _, one := range allRoutes() {
		if one.rights != public {
			s.want(429, tooManyFailures, one.method, one.example(), "", "Authorization", "Bearer guess")
		}
	}
	s.want(429, tooManyFailures, "POST", "/v1/session", `{"token":"guess"}`)
	s.want(201, "", "POST", "/v1/session", `{"token":"secret-of-operators"}`)
}

// A change that is meant for another revision changes nothing.
func TestStaleRevisions(t *testing.T) {
	s := startSystem(t, "")
	before := s.Revision()
	for operation, body := range map[string]string{
		"POST /v1/analyzers":                       `{"id":"a3","url":"http://127.0.0.1:9","weight":1}`,
		"PUT /v1/analyzers":                        `{"analyzers":[{"id":"a3","url":"http://127.0.0.1:9","weight":1}]}`,
		"PATCH /v1/analyzers/a1":                   `{"weight":7}`,
		"DELETE /v1/analyzers/a1":                  ``,
		"POST /v1/analyzers/a1/breaker":            `{"action":"reset"}`,
		"PATCH /v1/settings":                       `{"rate_limit":1}`,
		"PUT /v1/limits?emitter=web-1":             `{"rate":1}`,
		"DELETE /v1/limits?emitter=web-1":          ``,
		"DELETE /v1/overrides":                     ``,
		"DELETE /v1/overrides/settings/rate_limit": ``,
		"POST /v1/reload":                          ``,
		"POST /-/reload":                           ``,
	} {
		method, path, _ := strings.Cut(operation, " ")
		s.want(412, staleRevision, method, path, body, "If-Match", `"7777777"`)
		s.want(400, malformed, method, path, body, "If-Match", "x")
	}
	if s.Revision() != before {
		t.Error("something has changed")
	}
}

// A change that cannot be stored is not made.
func TestUnwritableDirectory(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PATCH", "/v1/settings", `{"rate_limit":3}`)
	s.ok("PUT", "/v1/limits?emitter=web-1", `{"rate":3}`)
	s.must(blockFile(s.Config().Distributor.DataDir + "/overrides.json.new"))
	s.configure(fmt.Sprintf("sender_retries: 9\nanalyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}]\n", s.analyzers[0].URL(), s.analyzers[1].URL()))
	before := s.ok("GET", "/v1/settings", "")
	for operation, body := range map[string]string{
		"POST /v1/analyzers":                       `{"id":"a3","url":"http://127.0.0.1:9","weight":1}`,
		"PUT /v1/analyzers":                        `{"analyzers":[{"id":"a3","url":"http://127.0.0.1:9","weight":1}]}`,
		"PATCH /v1/analyzers/a1":                   `{"weight":7}`,
		"DELETE /v1/analyzers/a1":                  ``,
		"PATCH /v1/settings":                       `{"rate_limit":1}`,
		"PUT /v1/limits?emitter=web-1":             `{"rate":1}`,
		"DELETE /v1/limits?emitter=web-1":          ``,
		"DELETE /v1/overrides":                     ``,
		"DELETE /v1/overrides/settings/rate_limit": ``,
		"POST /v1/reload":                          ``,
		"POST /-/reload":                           ``,
	} {
		method, path, _ := strings.Cut(operation, " ")
		s.want(503, unavailable, method, path, body, "If-Match", before.Header.Get("ETag"))
	}
	if after := s.ok("GET", "/v1/settings", ""); string(after.text) != string(before.text) {
		t.Errorf("%s", after.text)
	}
	if got := s.ok("GET", "/v1/analyzers/a1", ""); got.get("spec.weight") != 0.6 {
		t.Errorf("%s", got.text)
	}
}

// The API reports dead letters that cannot be read, and does not leave them out.
func TestUnreadableDeadLetters(t *testing.T) {
	s := startSystem(t, "")
	s.must(os.MkdirAll(s.Config().Distributor.DataDir, 0o700))
	s.must(os.WriteFile(s.Config().Distributor.DataDir+"/dead-letter", nil, 0o600))
	s.want(503, unavailable, "GET", "/v1/dead-letters", "")
	s.want(503, unavailable, "GET", "/v1/dead-letters/20260101T000000.000000000-0", "")
	s.want(503, unavailable, "POST", "/v1/dead-letters/replay", `{"filter":{},"expect_count":0}`)
	s.want(503, unavailable, "POST", "/v1/dead-letters/delete", `{"filter":{},"expect_count":0}`)
}

// A ttl is bounded.
func TestTTL(t *testing.T) {
	s := startSystem(t, "")
	s.ok("PATCH", "/v1/settings", `{"rate_limit":3}`)
	for operation, body := range map[string]string{
		"POST /v1/analyzers":                       `{"id":"a3","url":"http://127.0.0.1:9","weight":1,"ttl":"1000h"}`,
		"PATCH /v1/analyzers/a1":                   `{"weight":7,"ttl":"1000h"}`,
		"DELETE /v1/analyzers/a1":                  `{"ttl":"1000h"}`,
		"PATCH /v1/settings":                       `{"rate_limit":1,"ttl":"1000h"}`,
		"PUT /v1/limits?emitter=web-1":             `{"rate":1,"ttl":"1000h"}`,
		"DELETE /v1/overrides":                     `{"ttl":"1000h"}`,
		"DELETE /v1/overrides/settings/rate_limit": `{"ttl":"1000h"}`,
	} {
		method, path, _ := strings.Cut(operation, " ")
		if refused := s.want(422, invalidSetting, method, path, body); refused.get("key") != "ttl" || refused.get("value") != "1000h0m0s" || refused.get("allowed") == nil {
			t.Errorf("%s", refused.text)
		}
	}
}

// The response names the methods of a path.
func TestAllow(t *testing.T) {
	s := startSystem(t, "")
	for _, one := range allRoutes() {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if slices.ContainsFunc(allRoutes(), func(r route) bool { return r.path == one.path && r.method == method }) {
				continue
			}
			if allow := s.want(405, methodNotAllowed, method, one.example(), "").Header.Get("Allow"); !strings.Contains(allow, one.method) {
				t.Errorf("%s %s: Allow is %q", method, one.path, allow)
			}
		}
	}
	for _, path := range []string{"/console", "/v1", "/v1/", "/v1/none", "/v1//status", "/v1/status/", "/v1/../v1/status", "/V1/status", "/v1/analyzers/a1/breaker/x", "/%2e%2e/v1/status"} {
		s.want(404, notFound, "GET", path, "")
	}
}
