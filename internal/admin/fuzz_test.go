package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// generator makes requests that are mostly valid, from a source of randomness.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

// word returns a part of a path, or a value.
func (g generator) word() string {
	return pick(g, "a1", "a2", "a3", "none", "web-1", "settings/rate_limit", "analyzers/a1/weight", "limits/web-1", "drain-1", "1", "", "%", "%2F", "..", "\x00", "ä", "true", "-1",
		"1e999", "60s", "debug", "ready", "drain", "maint", "reset", "open", "http://127.0.0.1:9", "x=y&z", strings.Repeat("x", 3000))
}

// often returns the usual value, and sometimes another one.
func often[T any](g generator, usual, other T) T {
	if g.IntN(8) == 0 {
		return other
	}
	return usual
}

// path returns a path of a route.
func (g generator) path(of route) string {
	path := of.path
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + escape(often(g, pick(g, "a1", "a2", "a3", "settings/rate_limit", "1", "drain-1"), g.word())) + after
	}
	return often(g, path, path+pick(g, "/", "//", "/..", "/x", "%2F", ";a=b"))
}

// escape escapes characters that a parsed URL cannot have.
func escape(text string) string {
	return strings.NewReplacer("%", "%25", "\x00", "%00", " ", "%20", "?", "%3F", "#", "%23", "&", "%26").Replace(text)
}

// query returns parameters, mostly those of a route.
func (g generator) query(of route) string {
	var pairs []string
	known := strings.Fields(of.query)
	if len(known) == 0 && g.IntN(8) > 0 {
		return "" // an unknown parameter is refused
	}
	for range g.IntN(3) {
		name := pick(g, "dry_run", "wait", "token", "x")
		if len(known) > 0 {
			name = often(g, pick(g, known...), name)
		}
		if slices.ContainsFunc(pairs, func(pair string) bool { return strings.HasPrefix(pair, name+"=") }) && g.IntN(8) > 0 {
			continue // a parameter that occurs twice is refused
		}
		value := often(g, g.parameter(name), escape(g.word()))
		pairs = append(pairs, name+"="+value)
	}
	return strings.Join(pairs, "&")
}

// parameter returns a value that a parameter may have.
func (g generator) parameter(name string) string {
	switch name {
	case "dry_run", "bodies":
		return pick(g, "true", "false")
	case "wait", "duration": // a duration that ends soon
		return "1ms"
	case "deadline":
		return "10ms"
	case "revision", "limit", "top", "sample", "messages", "n", "past":
		return "1"
	case "stage":
		return "accepted"
	case "level":
		return "INFO"
	case "format":
		return "yaml"
	}
	return pick(g, "a1", "web-1", "")
}

var members = strings.Fields("id url weight state deadline force ttl reason analyzers action rate burst ids filter expect_count token log_level rate_limit intake dispatch max_body_bytes analyzer emitter port limits shed x")

// value returns JSON of some depth.
func (g generator) value(depth int) string {
	switch n := g.IntN(12); {
	case n < 4:
		text, _ := json.Marshal(g.word())
		return string(text)
	case n < 6:
		return pick(g, "0", "1", "-1", "0.5", "1e308", "1e999", "9223372036854775808", "1E-400")
	case n < 8:
		return pick(g, "true", "false", "null")
	case n < 9 && depth > 0:
		var items []string
		for range g.IntN(3) {
			items = append(items, g.value(depth-1))
		}
		return "[" + strings.Join(items, ",") + "]"
	case depth > 0:
		return g.object(depth - 1)
	}
	return `""`
}

func (g generator) object(depth int) string {
	var parts []string
	for range g.IntN(5) {
		parts = append(parts, fmt.Sprintf("%q:%s", pick(g, members...), g.value(depth)))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// fromSchema returns JSON that a schema of the document allows, except for some values.
func (g generator) fromSchema(at pointer, depth int) string {
	schema, at := document.at(at)
	if values, isEnum := schema["enum"].([]any); isEnum {
		text, _ := json.Marshal(pick(g, values...))
		return often(g, string(text), g.value(1))
	}
	switch schema["type"] {
	case "object":
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if often(g, slices.Contains(required, any(name)), g.IntN(2) == 0) {
				parts = append(parts, fmt.Sprintf("%q:%s", name, g.fromSchema(append(slices.Clone(at), "properties", name), depth+1)))
			}
		}
		if schema["additionalProperties"] != false && g.IntN(2) == 0 {
			parts = append(parts, pick(g, `"rate_limit":5`, `"log_level":"debug"`, `"dispatch":"paused"`, `"intake":"paused"`, `"shed":"DEBUG@80%"`, `"sender_retries":1`, `"rate_limit":null`))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case "array":
		return "[" + g.fromSchema(append(slices.Clone(at), "items"), depth+1) + "]"
	case "number", "integer":
		return often(g, pick(g, "0", "1", "2"), g.value(1))
	case "boolean":
		return pick(g, "true", "false")
	}
	switch at[len(at)-1] {
	case "Duration", "TTL":
		return often(g, `"1h"`, g.value(0))
	case "url":
		return often(g, `"http://127.0.0.1:9"`, g.value(0))
	case "id":
		return often(g, `"a3"`, g.value(0))
	}
	return often(g, `"web-1"`, g.value(1))
}

// body returns a body for a route.
func (g generator) body(of route) string {
	if _, at := document.operation(of.method, of.example()); g.IntN(4) > 0 && at != nil {
		at = append(slices.Clone(at), "requestBody", "content", "application/json", "schema")
		if schema, _ := document.at(at); schema != nil {
			return g.fromSchema(at, 0)
		}
		return ""
	}
	switch g.IntN(3) {
	case 0:
		return ""
	case 1:
		return pick(g, "[", "{", "nul", "{}{}", "\xff", strings.Repeat("[", 20_000), `{"a":1,"a":2}`, `"\ud800"`)
	default:
		return g.object(3)
	}
}

func (g generator) header(r *http.Request) {
	r.Header.Set("Content-Type", often(g, "application/json", pick(g, "application/merge-patch+json", "text/plain", "x", "")))
	r.Header.Set("Authorization", "Bearer "+operateToken)
	if g.IntN(4) > 0 {
		return
	}
	name := pick(g, "If-Match", "Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "Accept", "Last-Event-ID", "Accept-Encoding", "Content-Encoding")
	r.Header.Set(name, pick(g, `"1"`, "*", "1", "Bearer x", "bearer", sessionCookie+"=x", "null", "cross-site", "same-origin", "text/event-stream", "gzip", g.word()))
	r.Host = often(g, r.Host, g.word())
}

// request returns a request whose method, path or body may be arbitrary bytes.
func (g generator) request(method, path, body string) *http.Request {
	r := &http.Request{Method: method, Header: make(http.Header), Host: "localhost", RemoteAddr: "127.0.0.1:1", Body: io.NopCloser(strings.NewReader(body))}
	var err error
	if r.URL, err = url.Parse(path); err != nil {
		return nil
	}
	g.header(r)
	return r
}

// FuzzAPI makes requests of all kinds. No response is a 500, each response is documented, and the
// distributor stays consistent.
func FuzzAPI(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, "", "", "")
	}
	f.Add(uint64(1), "PATCH", "/v1/analyzers/a1", `{"weight":1}`)
	f.Add(uint64(2), "PUT", "/v1/limits?emitter=%00", `{"rate":1}`)
	f.Add(uint64(3), "DELETE", "/v1/overrides/analyzers/%2e%2e/x", ``)
	shared := startSystem(f, "admin_token: "+operateToken+"\n")
	shared.server.api.audit.lines.Sync = nil // waiting for the disk takes nine tenths of the time
	f.Fuzz(func(t *testing.T, seed uint64, method, path, body string) {
		s := *shared
		s.TB = t
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		if path != "" {
			s.fuzz(g.request(method, path, body))
		}
		for range 4 {
			of := pick(g, allRoutes()...)
			target := g.path(of) + "?" + g.query(of)
			s.fuzz(g.request(often(g, of.method, pick(g, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", g.word())), target, g.body(of)))
		}
		if status := s.distributor.Status(); status.Unaccounted != 0 {
			t.Errorf("%d messages are not accounted for", status.Unaccounted)
		}
	})
}

// fuzz serves a request. It soon cancels a request that is answered by a stream.
func (s *system) fuzz(r *http.Request) {
	s.Helper()
	if r == nil {
		return
	}
	ctx := s.Context()
	if strings.HasSuffix(r.URL.Path, "/tap") || strings.HasSuffix(r.URL.Path, "/stream") || strings.HasSuffix(r.URL.Path, "/events") || strings.HasSuffix(r.URL.Path, "/trace") {
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		ctx = short
	}
	w := httptest.NewRecorder()
	s.server.api.ServeHTTP(w, r.WithContext(ctx))
	response := w.Result()
	text := w.Body.Bytes()
	if response.Header.Get("Content-Encoding") != "" {
		return
	}
	if err := document.answered(r, response, text); err != nil {
		s.Errorf("%s %s %v %.500s: %d %.1000s: %v", r.Method, r.URL, r.Header, r.Body, w.Code, text, err)
	}
	if w.Code == http.StatusInternalServerError {
		s.Errorf("%s %s %v: %s", r.Method, r.URL, r.Header, text)
	}
}
