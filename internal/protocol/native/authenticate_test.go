package native

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/dedupe"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// The tokens "a" and "b". Token "a" allows the emitter e and the emitters with a prefix.
const (
	tokenA = "Authorization: Bearer a"
	tokenB = "Authorization: bearer b"
	lineA  = "alpha sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb emitters=e,web-*"
	lineB  = "beta sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
)

func setOf(t testing.TB, lines ...string) *credential.Set {
	t.Helper()
	set, err := credential.Parse([]byte(strings.Join(lines, "\n")), credential.Emitters)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// guarded returns options with the tokens of these lines.
func guarded(t testing.TB, lines ...string) options {
	o, set := standard(), setOf(t, lines...)
	o.tokens = func() *credential.Set { return set }
	return o
}

// Event loops and goroutines authenticate alike, with requests that are whole and split at each
// boundary.
func TestTokenStreams(t *testing.T) {
	const source = "RFC 6750 section 2.1"
	unauthorized := func(name, bytes string) streamCase {
		return refusedAs(name, source, bytes, http.StatusUnauthorized, "unauthorized", false)
	}
	foreign := func(id string) string { return strings.Replace(aPacket(id, 0), `"e"`, `"x"`, 1) }
	request := func(body string, lines ...string) string { return post(body, lines...) }
	for _, c := range []streamCase{
		taken("a token", source, posting("1", tokenA), "1"),
		taken("another token on the same connection", source, posting("1", tokenA)+posting("2", tokenB)+posting("3", tokenA), "1", "2", "3"),
		taken("the same field twice", source, posting("1", tokenA, tokenA), "1"),
		taken("a token of chunks", source, chunking("1", tokenA), "1"),
		malformed("two tokens", source, posting("1", tokenA, tokenB)),
		unauthorized("no token", posting("1")),
		refusedAs("no token of chunks, which are not read", source, chunking("1"), http.StatusUnauthorized, "unauthorized", true),
		unauthorized("a wrong token", posting("1", "Authorization: Bearer c")),
		unauthorized("a longer token", posting("1", "Authorization: Bearer aa")),
		unauthorized("no Bearer", posting("1", "Authorization: Basic a")),
		unauthorized("an empty field", posting("1", "Authorization:")),
		unauthorized("a wrong token for a wrong packet", request("{", "Authorization: Bearer c")),
		refusedAs("the body is announced and does not come", source, head("POST /ingest HTTP/1.1", "Host: t", "Content-Length: 100000"), 401, "unauthorized", true),
		refusedAs("another emitter", source, request(foreign("1"), tokenA), 403, "emitter_not_allowed", false),
		{name: "another emitter, allowed", source: source, bytes: posting("1", tokenB), statuses: accepted(1), packets: []string{"1"}},
	} {
		c.authorization = tokenA
		c.cut = strings.Contains(c.bytes, "Content-Length: 100000")
		for _, w := range bothWays(t, guarded(t, lineA, lineB)) {
			run := &caseRun{streamCase: c, T: t, way: w}
			run.run()
		}
	}
}

func TestUnauthorized(t *testing.T) {
	var log bytes.Buffer
	o := guarded(t, lineA)
	o.change = func(d *intake.Dependencies) { d.Logger = debugLogger(&log) }
	for _, w := range serveBothWays(t, o) {
		const often, each = 5, 12 * time.Second // that many at once, and then one in that time
		began, failures := time.Now(), 0
		a, _ := w.send(t, w.form(aPacket("p", 0)))
		for ; a.StatusCode != http.StatusTooManyRequests; failures++ {
			a.wantRefusal(t, http.StatusUnauthorized, problem.Unauthorized)
			if a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %v", w.name, a.Header)
			}
			a, _ = w.send(t, w.form(aPacket("p", 0), "Authorization: Bearer c"))
		}
		if maxFailures := often + int(time.Since(began)/each); failures < often || failures > maxFailures {
			t.Errorf("%s: after %d failures there are too many, want %d to %d", w.name, failures, often, maxFailures)
		}
		a.wantRefusal(t, http.StatusTooManyRequests, problem.TooManyFailures)
		a.wantWaitOfALimit(t, began, each)
		a, _ = w.send(t, w.form(aPacket("p", 0), tokenA)) // no client is locked out
		a.wantAccepted(t, "p")
		a, _ = w.send(t, "GET /other HTTP/1.1\r\nHost: t\r\n\r\n") // requests with other problems need no token
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", w.name, a.StatusCode)
		}
		w.wantCounted(map[problem.Code]int{problem.Unauthorized: failures, problem.TooManyFailures: 1})
		if !strings.Contains(log.String(), "requests without a valid token are refused") || !strings.Contains(log.String(), "address=127.0.0.1") {
			t.Errorf("%s: the address is not logged: %s", w.name, log.String())
		}
		log.Reset()
	}
}

func TestNotAllowedLines(t *testing.T) {
	for _, w := range serveBothWays(t, guarded(t, lineA)) {
		allowed, other := by("web-1", aPacket("p", 0)), by("x", aPacket("q", 0))
		a, stored := w.send(t, w.form(allowed+"\n"+other+"\n", linesType, tokenA))
		want := `{"status":"partial","accepted":1,"refused":[{"line":2,"packet_id":"q","code":"emitter_not_allowed","detail":"the token of alpha does not allow this emitter_id"}]}`
		if a.StatusCode != http.StatusMultiStatus || a.text != want || len(stored) != 1 {
			t.Errorf("%s: %d %s, stored %q", w.name, a.StatusCode, a.text, stored)
		}
		a, _ = w.send(t, w.form(other+"\n"+other+"\n", linesType, tokenA))
		if r := a.wantRefusal(t, http.StatusForbidden, problem.EmitterNotAllowed); len(r.Refused) != 2 {
			t.Errorf("%s: %+v", w.name, r)
		}
		a, _ = w.send(t, w.form(other+"\n{\n", linesType, tokenA))
		a.wantRefusal(t, http.StatusBadRequest, problem.Malformed)
		w.wantCounted(map[problem.Code]int{problem.EmitterNotAllowed: 4, problem.Malformed: 1})
	}
}

// The same ids and bytes of two principals are two packets; a rate limit applies to all emitters of
// a principal.
func TestPrincipals(t *testing.T) {
	o := guarded(t, lineA+" rate=0.001", lineB)
	window, err := dedupe.Open(dedupe.Config{Window: time.Minute, Packets: 100}, discard(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer window.Close()
	o.window = window
	for _, w := range serveBothWays(t, o)[:1] {
		body := aPacket("p", 0)
		first, _ := w.send(t, w.form(body, tokenA))
		first.wantAccepted(t, "p")
		second, _ := w.send(t, w.form(body, tokenB))
		second.wantAccepted(t, "p")
		again, _ := w.send(t, w.form(body, tokenA))
		if !strings.Contains(again.text, `"duplicate":true`) {
			t.Errorf("%s: %s", w.name, again.text)
		}
		limited, _ := w.send(t, w.form(by("web-2", body), tokenA))
		if r := limited.wantRefusal(t, http.StatusTooManyRequests, problem.RateLimited); !strings.Contains(r.Detail, "the token of alpha") {
			t.Errorf("%s: %+v", w.name, r)
		}
		other, _ := w.send(t, w.form(by("web-2", body), tokenB))
		other.wantAccepted(t, "p")
	}
}

// A token that was removed from the file is refused, also on a connection that used it.
func TestRemovedToken(t *testing.T) {
	o := standard()
	var set atomic.Pointer[credential.Set]
	o.tokens = set.Load
	set.Store(setOf(t, lineA, lineB))
	for _, w := range serveBothWays(t, o) {
		set.Store(setOf(t, lineA, lineB))
		for i, want := range []int{202, 202, 401} {
			if i == 2 {
				set.Store(setOf(t, lineB))
			}
			if a, _ := w.send(t, w.form(aPacket(fmt.Sprint(i), 0), tokenA)); a.StatusCode != want {
				t.Errorf("%s: request %d: %d, want %d", w.name, i, a.StatusCode, want)
			}
		}
	}
}
