package admin

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/logstreamer/logstreamer/internal/control"
)

func TestBody(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	for body, want := range map[string]struct {
		status int
		detail string
	}{
		``:                               {200, ""},
		` {"ttl":"15m","reason":"why"} `: {200, ""},
		`{"ttl":null}`:                   {200, ""},
		`[]`:                             {400, "the body must be a JSON object"},
		`7`:                              {400, "the body must be a JSON object"},
		`{`:                              {400, "the body is no valid JSON"},
		`{} {}`:                          {400, "something follows the object"},
		`{"ttl":"15m","ttl":"1m"}`:       {400, `"ttl" occurs twice`},
		`{"TTL":"15m"}`:                  {400, `"TTL" is unknown; known are reason, ttl`},
		`{"ttl":"soon"}`:                 {400, `ttl is "soon": it must be a duration such as "60s"`},
		`{"ttl":900}`:                    {400, `ttl is 900: it must be a duration such as "60s"`},
		`{"ttl":"-1m"}`:                  {400, `ttl is "-1m": it must be a duration such as "60s"`},
		`{"ttl":1e400}`:                  {400, `ttl is "1e400": it must be`},
		`{"reason":{}}`:                  {400, `reason is {}: it must be a text`},
		`{"reason":"` + strings.Repeat("x", maxReasonBytes+1) + `"}`: {400, "at most 1000 bytes"},
		`{"reason":"` + strings.Repeat("x", maxBodyBytes) + `"}`:     {413, "the body is larger than 1048576 bytes"},
	} {
		w := g.do(asks{method: "PATCH", path: "/v1/thing", body: body})
		var problem struct{ Detail string }
		_ = json.Unmarshal(w.Body.Bytes(), &problem)
		if w.Code != want.status || !strings.Contains(problem.Detail, want.detail) {
			t.Errorf("%.80s: %d %s, want %d %s", body, w.Code, w.Body, want.status, want.detail)
		}
	}
}

// A request that needs no credential has a short body.
func TestPublicBody(t *testing.T) {
	g := newGuarded(t, withTokens(t))
	g.want(asks{method: "POST", path: "/v1/session", body: strings.Repeat(" ", maxPublicBytes+1)}, 413, tooLarge)
	g.want(asks{method: "POST", path: "/v1/session", body: strings.Repeat(" ", maxPublicBytes)}, 400, malformed)
}

// A body whose length is too large is refused before it is read, so that the client need not send it.
func TestTooLargeBodyIsNotRead(t *testing.T) {
	r := httptest.NewRequest("POST", "/v1/reload", iotest.ErrReader(errors.New("the body is read")))
	r.ContentLength = maxBodyBytes + 1
	if _, err := readBody(httptest.NewRecorder(), r, maxBodyBytes); err == nil || refusalOf(err).Code != tooLarge {
		t.Error(err)
	}
}

func TestQuery(t *testing.T) {
	g := newGuarded(t, control.AdminConfig{})
	for query, want := range map[string]string{
		"dry_run=true": "", "dry_run=false": "",
		"dry_run=1":                 `dry_run is "1": it must be true or false`,
		"dry_run=":                  `dry_run is "": it must be true or false`,
		"dryrun=true":               `"dryrun" is unknown; known are dry_run`,
		"dry_run=true&dry_run=true": "the parameter dry_run occurs 2 times",
		"dry_run=%ff":               "it must be UTF-8",
		"dry_run=%zz":               "the query cannot be read",
		"token=secret":              `"token" is unknown`,
	} {
		w := g.do(asks{method: "PATCH", path: "/v1/thing?" + query})
		if (w.Code == 200) != (want == "") || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), want) {
			t.Errorf("%s: %d %s, want %s", query, w.Code, w.Body, want)
		}
	}
	for _, r := range g.records() {
		if strings.Contains(r.Query, "secret") {
			t.Errorf("%+v has a token", r)
		}
	}
}

func TestIfMatch(t *testing.T) {
	const malformed, other = -2, control.NoRevision
	for field, want := range map[string]int64{
		"": 0, "*": 0, `"12"`: 12, "12": 12, `"0"`: other, `"x"`: other, `""`: other, `"012"`: other, `"99999999999999999999"`: other, `W/"12"`: other, `W/"x"`: other,
		`"12", "13"`: malformed, "-1": malformed, "x": malformed, `"12`: malformed, `12"`: malformed, `"1"2"`: malformed, `"`: malformed, `W/12`: malformed, `w/"12"`: malformed,
	} {
		r := httptest.NewRequest("PATCH", "/", nil)
		r.Header.Set("If-Match", field)
		revision, err := (&request{Request: r}).ifMatch()
		if (err != nil) != (want == malformed) || err == nil && revision != want {
			t.Errorf("%q: %d, %v, want %d", field, revision, err, want)
		}
	}
}

// Several header fields of one name are one list.
func TestSeveralIfMatch(t *testing.T) {
	for _, fields := range [][]string{{"*", `"12"`}, {"", `"12"`}, {`"12"`, `"12"`}, {`"12"`, "*"}} {
		r := httptest.NewRequest("PATCH", "/", nil)
		r.Header["If-Match"] = fields
		if revision, err := (&request{Request: r}).ifMatch(); err == nil {
			t.Errorf("%q: %d", fields, revision)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path, text string
		ok                  bool
	}{
		{"/v1/a", "/v1/a", "", true},
		{"/v1/a", "/v1/a/", "", false},
		{"/v1/{id}", "/v1/x", "x", true},
		{"/v1/{id}", "/v1/", "", false},
		{"/v1/{id}", "/v1/x/y", "", false},
		{"/v1/{id}", "/v1/x%2Fy%20", "x/y ", true},
		{"/v1/{id}/b", "/v1/x/b", "x", true},
		{"/v1/{id}/b", "/v1//b", "", false},
		{"/v1/{id}/b", "/v1/b", "", false},
		{"/v1/{key...}", "/v1/x/y%2f//z", "x/y///z", true},
		{"/v1/{key...}", "/v1/%zz", "", false},
	} {
		if text, ok := match(c.pattern, c.path); ok != c.ok || ok && text != c.text {
			t.Errorf("%s, %s: %q, %v", c.pattern, c.path, text, ok)
		}
	}
}
