package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/docs"
)

// maxScriptBytes bounds all scripts together, compressed.
const maxScriptBytes = 40_000

func newHandler(t *testing.T, demo bool) *Handler {
	t.Helper()
	h, err := New(demo)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h *Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Each file comes with its type, a policy that keeps other hosts out, and a tag by which the
// browser keeps it.
func TestFilesAreServed(t *testing.T) {
	h := newHandler(t, false)
	for path, f := range h.files {
		plain, gzipped := get(h, path), get(h, path, "Accept-Encoding", "br, gzip;q=0.5")
		header := plain.Header()
		if plain.Code != 200 || !bytes.Equal(plain.Body.Bytes(), f.plain) || header.Get("Content-Encoding") != "" || header.Get("Content-Length") != fmt.Sprint(len(f.plain)) {
			t.Errorf("%s: %d, %v", path, plain.Code, header)
		}
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(header.Get("Content-Security-Policy"), part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Vary") != "Accept-Encoding" || header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, header)
		}
		if gzipped.Header().Get("Content-Encoding") == "gzip" {
			reader, err := gzip.NewReader(gzipped.Body)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(reader); err != nil || !bytes.Equal(text, f.plain) {
				t.Errorf("%s: the compressed form differs: %v", path, err)
			}
		} else if len(f.gzipped()) < len(f.plain) {
			t.Errorf("%s is not compressed", path)
		}
		if again := get(h, path, "If-None-Match", `"x", `+header.Get("ETag")); again.Code != 304 || again.Body.Len() > 0 || again.Header().Get("ETag") == "" {
			t.Errorf("%s: %d with its tag", path, again.Code)
		}
		if other := get(h, path, "If-None-Match", `W/"x"`, "Accept-Encoding", "gzip;q=0"); other.Code != 200 || other.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d with another tag, %v", path, other.Code, other.Header())
		}
	}
	for path, want := range map[string]string{"/": "text/html", "/console/main.js": "text/javascript", "/console/console.css": "text/css", "/console/runbook.md": "text/markdown"} {
		if got := get(h, path).Header().Get("Content-Type"); !strings.HasPrefix(got, want+"; charset=utf-8") {
			t.Errorf("%s has the type %q", path, got)
		}
	}
	for _, path := range []string{"/console/", "/console/vendor/README.md.", "/console/vendor/LICENSE.preact", "/console/../console.go", "/console/index.html"} {
		if code := get(h, path).Code; code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

var (
	reference = regexp.MustCompile(`(?:src|href)="(/[^"]+)"|from '\./([^']+)'`)
	elsewhere = regexp.MustCompile(`https?://[a-z0-9]`)
)

// The files name only files that are there, and no other host.
func TestReferences(t *testing.T) {
	h := newHandler(t, false)
	named := make(map[string]bool)
	for path, f := range h.files {
		if strings.HasPrefix(path, Folder+"vendor/") || strings.HasSuffix(path, ".md") {
			continue
		}
		text := strings.ReplaceAll(string(f.plain), "xmlns='http://www.w3.org/2000/svg'", "")
		if elsewhere.MatchString(text) {
			t.Errorf("%s names a host: %s", path, elsewhere.FindString(text))
		}
		for _, found := range reference.FindAllStringSubmatch(text, -1) {
			name := found[1]
			if name == "" {
				name = Folder + found[2]
			}
			if named[name] = true; h.files[name] == nil {
				t.Errorf("%s refers to %s, which is not there", path, name)
			}
			if preload := `<link rel="modulepreload" href="` + name; path != "/" && name != Folder+"main.js" && !bytes.Contains(h.files["/"].plain, []byte(preload)) {
				t.Errorf("the page does not load %s at once", name)
			}
		}
	}
	for path := range h.files {
		if strings.HasSuffix(path, ".js") && !named[path] {
			t.Errorf("nothing uses %s", path)
		}
	}
}

func TestScriptsAreSmall(t *testing.T) {
	sum := 0
	for path, f := range newHandler(t, false).files {
		if strings.HasSuffix(path, ".js") {
			sum += len(f.gzipped())
		}
	}
	if sum > maxScriptBytes {
		t.Errorf("the scripts have %d bytes, compressed: more than %d", sum, maxScriptBytes)
	}
	t.Logf("%d bytes", sum)
}

// The vendored files are those of the table beside them.
func TestVendoredFiles(t *testing.T) {
	table, err := files.ReadFile("page/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for path, f := range newHandler(t, false).files {
		if name, ok := strings.CutPrefix(path, Folder+"vendor/"); ok && strings.HasSuffix(path, ".js") {
			sum := sha256.Sum256(f.plain)
			if row := regexp.MustCompile("(?m)^.*`" + name + "`.*$").FindString(string(table)); !strings.Contains(row, hex.EncodeToString(sum[:])) {
				t.Errorf("%s is not the file of the table: %x", name, sum)
			}
		}
	}
}

// Only the page of a demo offers what only a demo can do.
func TestDemo(t *testing.T) {
	for demo, want := range map[bool]bool{true: true, false: false} {
		if got := strings.Contains(get(newHandler(t, demo), "/").Body.String(), "<html data-demo "); got != want {
			t.Errorf("demo %v: marked %v", demo, got)
		}
	}
}

// Each warning leads to a recipe of the runbook.
func TestRecipes(t *testing.T) {
	text, err := files.ReadFile("page/verdict.js")
	if err != nil {
		t.Fatal(err)
	}
	recipes := regexp.MustCompile(`(?m)^  warn\(.*, '([A-Z][A-Za-z]+)'\);$`).FindAllStringSubmatch(string(text), -1)
	if len(recipes) < 10 {
		t.Errorf("%d recipes were found in the script", len(recipes))
	}
	for _, found := range recipes {
		if !strings.Contains(docs.Runbook, "\n## "+found[1]+"\n") {
			t.Errorf("the runbook has no %s", found[1])
		}
	}
}
