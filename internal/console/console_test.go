package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/docs"
)

// maxScriptBytes bounds the compressed size of all scripts together.
const maxScriptBytes = 40_000

// loaded returns the files of a page.
func loaded(t *testing.T, demo bool) map[string]*file {
	t.Helper()
	files, err := load(demo)
	if err != nil {
		t.Fatal(err)
	}
	return files
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

// Each file has its content type, a policy that blocks other hosts, and a tag by which browsers
// cache it.
func TestFilesAreServed(t *testing.T) {
	h := New(false)
	for path, f := range loaded(t, false) {
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
	for path, want := range map[string]string{"/": "text/html", "/console/console.js": "text/javascript", "/console/console.css": "text/css", "/console/runbook.md": "text/markdown"} {
		if got := get(h, path).Header().Get("Content-Type"); !strings.HasPrefix(got, want+"; charset=utf-8") {
			t.Errorf("%s has the type %q", path, got)
		}
	}
	for _, path := range []string{"/console/", "/console/main.js", "/console/vendor/preact.js", "/console/vendor/LICENSE.preact", "/console/../console.go", "/console/index.html"} {
		if code := get(h, path).Code; code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

var (
	reference = regexp.MustCompile(`(?:src|href)="(/[^"]+)"`)
	elsewhere = regexp.MustCompile(`https?://[a-z0-9]`)
)

// The page names all files and no missing file; no file names another host.
func TestReferences(t *testing.T) {
	files := loaded(t, false)
	named := map[string]bool{"/": true, Dir + "runbook.md": true}
	for _, found := range reference.FindAllStringSubmatch(string(files["/"].plain), -1) {
		named[found[1]] = true
	}
	for path := range named {
		if files[path] == nil {
			t.Errorf("%s is not there", path)
		}
	}
	for path, f := range files {
		if !named[path] {
			t.Errorf("nothing uses %s", path)
		}
		text := strings.ReplaceAll(string(f.plain), "http://www.w3.org/", "") // URLs that are the names of SVG and MathML
		if found := elsewhere.FindString(text); found != "" && !strings.HasSuffix(path, ".md") {
			t.Errorf("%s names a host: %s", path, found)
		}
	}
}

// The script has each module once, after the modules that it imports.
func TestScript(t *testing.T) {
	script := loaded(t, false)[Dir+"console.js"]
	if size := len(script.gzipped()); size > maxScriptBytes {
		t.Errorf("the script has %d bytes, compressed: more than %d", size, maxScriptBytes)
	} else {
		t.Logf("%d bytes", size)
	}
	err := fs.WalkDir(files, "page", func(name string, _ fs.DirEntry, err error) error {
		if own := strings.TrimPrefix(name, "page/"); strings.HasSuffix(name, ".js") {
			if n := strings.Count(string(script.plain), "\nmodules[\""+own+"\"] = "); n != 1 {
				t.Errorf("%s is %d times in the script", own, n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// joinedModules is the script of the three modules of TestJoin.
const joinedModules = `const modules = {};
// lib/d.js
modules["lib/d.js"] = (() => {
const x = 1;const standard = function() {}
return {default: standard};
})();
// lib/a.js
modules["lib/a.js"] = (() => {
const {default: d} = modules["lib/d.js"];
const a = d;
class C {}
const e = 1;
return {a, C, f: e, d};
})();
// main.js
modules["main.js"] = (() => {
const {a: b, C} = modules["lib/a.js"];
const {default: d} = modules["lib/d.js"];
b(C, d);
return {};
})();
export {modules};
`

func TestJoin(t *testing.T) {
	for name, test := range map[string]struct {
		modules map[string]string
		want    string // the script, or the text of the error
	}{
		"forms": {map[string]string{
			"main.js":  "// what it does\nimport {a as b, C} from './lib/a.js';\nimport d from './lib/d.js';\n  // import why\nb(C, d);\n",
			"lib/a.js": "import d from './d.js';\nexport const a = d;\nexport class C {}\nconst e = 1;\nexport {e as f, d};\n",
			"lib/d.js": "const x = 1;export default function() {}\n//# sourceMappingURL=d.js.map",
		}, joinedModules},
		"cycle":        {map[string]string{"main.js": "import {a} from './a.js';\n", "a.js": "import {b} from './main.js';\n"}, "console: main.js imports itself by way of another module"},
		"missing":      {map[string]string{"main.js": "import {a} from './a.js';\n"}, "console: no a.js"},
		"other import": {map[string]string{"main.js": "import * as a from './a.js';\n"}, "console: main.js: \"import * as a from './a.js';\" is no form of an import or export that can be joined"},
		"other export": {map[string]string{"main.js": "export let a = 1;\n"}, "console: main.js: \"export let a = 1;\" is no form of an import or export that can be joined"},
	} {
		got, err := join("main.js", func(name string) ([]byte, error) {
			if text, ok := test.modules[name]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("no " + name)
		})
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != test.want {
			t.Errorf("%s: got %s\nwant %s", name, got, test.want)
		}
	}
}

// The vendored files match the hashes in their README.
func TestVendoredFiles(t *testing.T) {
	table, err := files.ReadFile("page/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"preact.js", "htm.js"} {
		text, err := files.ReadFile("page/vendor/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if row := regexp.MustCompile("(?m)^.*`" + name + "`.*$").FindString(string(table)); !strings.Contains(row, hex.EncodeToString(sum[:])) {
			t.Errorf("%s is not the file of the table: %x", name, sum)
		}
	}
}

// Only the page of a demo offers the actions of a demo.
func TestDemo(t *testing.T) {
	for demo, want := range map[bool]bool{true: true, false: false} {
		if got := strings.Contains(get(New(demo), "/").Body.String(), "<html data-demo "); got != want {
			t.Errorf("demo %v: marked %v", demo, got)
		}
	}
}

var (
	warning     = regexp.MustCompile(`(?m)^\s*warn\(.*$`)
	recipeOfOne = regexp.MustCompile(`, ('[A-Z][A-Za-z]+'|recipe)\);$`)
)

// Each warning leads to a recipe of the runbook.
func TestRecipes(t *testing.T) {
	text, err := files.ReadFile("page/verdict.js")
	if err != nil {
		t.Fatal(err)
	}
	all := warning.FindAllString(string(text), -1)
	if len(all) < 20 {
		t.Errorf("%d warnings were found in the script", len(all))
	}
	for _, one := range all {
		if !recipeOfOne.MatchString(one) {
			t.Errorf("a warning has no recipe: %s", one)
		}
	}
	recipes := regexp.MustCompile(`'([A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)'`).FindAllStringSubmatch(string(text), -1)
	if len(recipes) < 10 {
		t.Errorf("%d recipes were found in the script", len(recipes))
	}
	for _, found := range recipes {
		if !strings.Contains(docs.Runbook, "\n## "+found[1]+"\n") {
			t.Errorf("the runbook has no %s", found[1])
		}
	}
}
