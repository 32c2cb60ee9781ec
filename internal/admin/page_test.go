package admin

import (
	"errors"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/console"
	"github.com/logstreamer/logstreamer/internal/control"
)

// withPage adds the routes of the console and of a demo.
func (g *guarded) withPage(demo Demo) {
	g.Helper()
	g.console, g.demo = console.New(demo != nil), demo
	g.routes = append(g.routes, pageRoutes()...)
	g.routes = append(g.routes, demoRoutes()...)
}

// fakeDemo is a Demo with one analyzer.
type fakeDemo struct{ done []string }

func (d *fakeDemo) StopAnalyzer(id string) error { return d.act("stop", id) }

func (d *fakeDemo) StartAnalyzer(id string) error { return d.act("start", id) }

func (d *fakeDemo) act(what, id string) error {
	if id != "a1" {
		return errors.New("there is no such analyzer")
	}
	d.done = append(d.done, what)
	return nil
}

// The page needs no credential, since it prompts for one, and a link of another site may open it. A
// request with a foreign name for this address is refused.
func TestPageOpens(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	g.withPage(nil)
	for _, path := range []string{"/", "/console/console.js", "/console/runbook.md"} {
		for _, header := range []map[string]string{nil, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, {"Authorization": "Bearer wrong"}} {
			w := g.want(asks{method: "GET", path: path, header: header}, 200, "")
			if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") || w.Header().Get("Cache-Control") != "no-cache" {
				t.Errorf("%s: %v", path, w.Header())
			}
		}
		g.want(asks{method: "GET", path: path, header: map[string]string{"Host": "evil.example"}}, 403, hostNotAllowed)
		g.want(asks{method: "POST", path: path, body: "{}", header: map[string]string{"Authorization": "Bearer " + operateToken}}, 405, methodNotAllowed)
	}
	g.want(asks{method: "GET", path: "/console/none.js"}, 404, notFound)
	g.want(asks{method: "GET", path: "/v1/thing", header: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}}, 403, crossOrigin)
}

// A caller with the role operate can stop and start the analyzers of a demo; a distributor that is
// no demo has no such path.
func TestDemo(t *testing.T) {
	g, demo := newGuarded(t, withTokens(t)), &fakeDemo{}
	g.withPage(demo)
	operator := map[string]string{"Authorization": "Bearer " + operateToken}
	for _, one := range []asks{{body: `{"action":"stop"}`}, {body: `{"action":"start"}`}} {
		one.method, one.path = "POST", "/v1/demo/a1"
		g.want(one, 401, unauthorized)
		one.header = map[string]string{"Authorization": "Bearer " + readToken}
		g.want(one, 403, forbidden)
		one.header = operator
		g.want(one, 200, "")
	}
	if strings.Join(demo.done, " ") != "stop start" {
		t.Errorf("done: %v", demo.done)
	}
	g.want(asks{method: "POST", path: "/v1/demo/a9", body: `{"action":"stop"}`, header: operator}, 409, conflict)
	g.want(asks{method: "POST", path: "/v1/demo/a1", body: `{"action":"burn"}`, header: operator}, 400, malformed)
	g.want(asks{method: "POST", path: "/v1/demo/a1", body: `{}`, header: operator}, 400, malformed)

	product := newAPI(Dependencies{Access: newAccess(t, control.AdminConfig{}, nil), DataDir: t.TempDir(), Logger: g.logger}, g.metrics)
	t.Cleanup(product.audit.close)
	for _, path := range []string{"/v1/demo", "/v1/demo/a1"} {
		if found, _, _ := product.routes.find("POST", path); found != nil {
			t.Errorf("the product has %s", path)
		}
	}
	if found, _, _ := product.routes.find("GET", "/"); found == nil {
		t.Error("the product has no console")
	}
}
