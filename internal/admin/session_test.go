package admin

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/control"
)

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := withTokens(t)
		g := newGuarded(t, config)
		g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"guess"}`}, 401, unauthorized)
		g.want(asks{method: "POST", path: "/v1/session", body: `{"token":7}`}, 400, malformed)
		g.want(asks{method: "POST", path: "/v1/session", body: `{}`}, 400, malformed)
		begin := func(token string) map[string]string {
			w := g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"` + token + `"}`}, 201, "")
			cookies := w.Result().Cookies()
			if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Secure || cookies[0].Path != "/" {
				t.Fatalf("%v", cookies)
			}
			return map[string]string{"Cookie": cookies[0].Name + "=" + cookies[0].Value}
		}
		cookie := begin(operateToken)
		change := asks{method: "PATCH", path: "/v1/thing", header: cookie}
		g.want(change, 200, "")
		g.want(asks{method: "PATCH", path: "/v1/thing", header: and(cookie, map[string]string{"Sec-Fetch-Site": "cross-site"})}, 403, crossOrigin)
		g.want(asks{method: "PATCH", path: "/v1/thing", header: and(cookie, map[string]string{"Host": "evil.example"})}, 403, hostNotAllowed)
		g.want(asks{method: "PATCH", path: "/v1/thing", header: begin(readToken)}, 403, forbidden)

		other := begin(operateToken)
		g.want(asks{method: "DELETE", path: "/v1/session", header: cookie}, 204, "")
		g.want(change, 401, unauthorized)
		change.header = other
		g.want(change, 200, "")
		for range 11 { // a session that is used lives for 12 hours
			time.Sleep(sessionIdle - time.Second)
			g.want(change, 200, "")
		}
		time.Sleep(sessionIdle)
		g.want(change, 401, unauthorized)
		change.header = begin(operateToken)
		time.Sleep(sessionIdle)
		g.want(change, 401, unauthorized)

		change.header = begin(operateToken)
		commit, _, err := g.access.Prepare(control.AdminConfig{Token: "another", TokensFile: config.TokensFile})
		if err != nil {
			t.Fatal(err)
		}
		commit()
		g.want(change, 401, unauthorized)
	})
}

// A login and its logout are recorded, briefly; logouts without a session are not, as anybody could
// displace all other records with them.
func TestLogoutsAreRecordedOnce(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	long := map[string]string{"If-Match": strings.Repeat("x", maxHeaderBytes/2)}
	w := g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"` + operateToken + `"}`, header: long}, 201, "")
	cookie := w.Result().Cookies()[0]
	for range 3 {
		g.want(asks{method: "DELETE", path: "/v1/session", header: long}, 204, "")
		g.want(asks{method: "DELETE", path: "/v1/session", header: and(long, map[string]string{"Cookie": cookie.Name + "=" + cookie.Value})}, 204, "")
	}
	all := g.records()
	if len(all) != 2 || all[0].Method != "POST" || all[1].Method != "DELETE" {
		t.Errorf("%+v", all)
	}
	for _, one := range all {
		if len(one.IfMatch) > 2*maxRefusedBytes {
			t.Errorf("%s: If-Match takes %d bytes", one.Method, len(one.IfMatch))
		}
	}
}

// addStream adds a route whose stream continues until the server ends it, and returns a function
// that requests the stream and reports when it has ended.
func (g *guarded) addStream() func(header map[string]string) (ended *atomic.Bool) {
	wait := func(s *stream) { <-s.ctx.Done() }
	g.routes = append(g.routes, route{"GET", "/v1/stream", read, "", true, func(*api, *request) (*response, error) {
		return &response{contentType: eventStream, stream: wait}, nil
	}})
	return func(header map[string]string) *atomic.Bool {
		ended := new(atomic.Bool)
		go func() {
			g.do(asks{method: "GET", path: "/v1/stream", header: header})
			ended.Store(true)
		}()
		return ended
	}
}

// replaceCredentials puts other credentials in force and waits until the streams are checked.
func (g *guarded) replaceCredentials(t *testing.T, config control.AdminConfig) {
	t.Helper()
	commit, _, err := g.access.Prepare(config)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	time.Sleep(credentialInterval)
	synctest.Wait()
}

// A stream ends when the credential of its caller expires, is withdrawn or changes its role.
func TestStreamEndsWithItsCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := withTokens(t)
		g := newGuarded(t, config)
		follow := g.addStream()
		login := g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"` + readToken + `"}`}, 201, "")
		session := follow(map[string]string{"Cookie": login.Result().Cookies()[0].String()})
		operator, viewer := follow(bearer(operateToken)), follow(bearer(readToken))
		time.Sleep(sessionLifetime - time.Second)
		if operator.Load() || viewer.Load() || session.Load() {
			t.Fatal("a stream ended before its credential")
		}
		time.Sleep(time.Second + credentialInterval)
		if operator.Load() || viewer.Load() || !session.Load() {
			t.Errorf("the session ended: its stream ended %v, those of tokens %v, %v", session.Load(), operator.Load(), viewer.Load())
		}
		config.Token = "another"
		g.replaceCredentials(t, config)
		if !operator.Load() || viewer.Load() {
			t.Errorf("a token was withdrawn: its stream ended %v, that of another %v", operator.Load(), viewer.Load())
		}
		config = withTokens(t)
		// The token gets another name and role.
		g.replaceCredentials(t, control.AdminConfig{Token: readToken, TokensFile: config.TokensFile})
		if !viewer.Load() {
			t.Error("a token got another role: its stream continues")
		}
	})
}

// The sessions of one token displace each other, and not those of other tokens.
func TestSessionsAreBounded(t *testing.T) {
	s, now := newSessions(), time.Unix(1, 0)
	other, _ := s.begin([]byte("other"), now)
	var secrets []string
	for i := range maxTokenSessions + 2 {
		secret, _ := s.begin([]byte("token"), now.Add(time.Duration(i)))
		secrets = append(secrets, secret)
		s.token(secrets[0], now.Add(time.Duration(i))) // the first stays in use
	}
	for i, secret := range append(secrets, other) {
		if _, _, ok := s.token(secret, now.Add(time.Minute)); ok != (i != 1 && i != 2) {
			t.Errorf("session %d is open: %v", i, ok)
		}
	}
	for i := range 2 * maxSessions {
		s.begin(fmt.Append(nil, "token ", i), now.Add(time.Minute))
	}
	if len(s.open) != maxSessions {
		t.Errorf("%d sessions are open", len(s.open))
	}
}

// A browser sends all cookies with the name; any of them may be that of the session.
func TestSeveralCookies(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	login := g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"` + operateToken + `"}`}, 201, "")
	cookie := login.Result().Cookies()[0]
	both := map[string]string{"Cookie": cookie.Name + "=stale; " + cookie.Name + "=" + cookie.Value}
	g.want(asks{method: "PATCH", path: "/v1/thing", header: both}, 200, "")
	g.want(asks{method: "DELETE", path: "/v1/session", header: both}, 204, "")
	g.want(asks{method: "PATCH", path: "/v1/thing", header: both}, 401, unauthorized)
}

// A browser sends the cookies of a host to all its ports, and keeps one of each name: sessions with
// two distributors at two ports do not end each other.
func TestCookiesOfPorts(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	kept := make(map[string]string)
	hosts := []string{"localhost:8081", "localhost:8082", "localhost", "[::1]:8081", "localhost:x"}
	for _, host := range hosts {
		w := g.want(asks{method: "POST", path: "/v1/session", body: `{"token":"` + readToken + `"}`, header: map[string]string{"Host": host}}, 201, "")
		cookie := w.Result().Cookies()[0]
		kept[cookie.Name] = cookie.Value
	}
	if want := []string{sessionCookie, sessionCookie + "_8081", sessionCookie + "_8082"}; !slices.Equal(slices.Sorted(maps.Keys(kept)), want) {
		t.Errorf("%v", kept)
	}
	var all []string
	for name, value := range kept {
		all = append(all, name+"="+value)
	}
	at := func(host string) map[string]string {
		return map[string]string{"Host": host, "Cookie": strings.Join(all, "; ")}
	}
	for _, host := range hosts[:3] {
		g.want(asks{method: "DELETE", path: "/v1/session", header: at(host)}, 204, "")
		g.want(asks{method: "GET", path: "/v1/thing", header: at(host)}, 401, unauthorized)
		if host == hosts[0] {
			g.want(asks{method: "GET", path: "/v1/thing", header: at(hosts[1])}, 200, "")
		}
	}
}
