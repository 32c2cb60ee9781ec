// Package console is the web page of a distributor. A browser loads the page from the admin server;
// the page then uses the admin API as any other client does and has no data of its own. The files
// are embedded unchanged; the modules are joined at the first request.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/docs"
)

//go:embed page
var files embed.FS

// Dir is the path of all files but the page itself, which is at "/".
const Dir = "/console/"

// contentSecurityPolicy lets the page load from this server only.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// contentTypes has the content types by file extension.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".md": "text/markdown; charset=utf-8",
}

// Handler serves the page. It may be used concurrently.
type Handler struct {
	// load returns the files by path. It does its work at the first call, because joining the
	// modules takes as much processor time as the rest of a start.
	load func() (map[string]*file, error)
}

// file is a file in the forms in which it is sent.
type file struct {
	contentType string
	tag         string // weak, because it is the same for both forms
	plain       []byte
	gzipped     func() []byte // compresses at the first call; it may be called concurrently
}

// New returns a handler. The page of a demo can also stop and start analyzers.
func New(demo bool) *Handler {
	return &Handler{load: sync.OnceValues(func() (map[string]*file, error) { return load(demo) })}
}

// load returns the files by path.
func load(demo bool) (map[string]*file, error) {
	read := func(name string) ([]byte, error) { return files.ReadFile("page/" + name) }
	page, err := read("index.html")
	if err != nil {
		return nil, err
	}
	style, err := read("console.css")
	if err != nil {
		return nil, err
	}
	script, err := join("main.js", read)
	if err != nil {
		return nil, err
	}
	if demo {
		page = bytes.Replace(page, []byte("<html "), []byte("<html data-demo "), 1)
	}
	return map[string]*file{
		"/":                 newFile(".html", page),
		Dir + "console.css": newFile(".css", style),
		Dir + "console.js":  newFile(".js", script),
		Dir + "runbook.md":  newFile(".md", []byte(docs.Runbook)),
	}, nil
}

// newFile returns a file with an extension that is in contentTypes.
func newFile(extension string, text []byte) *file {
	sum := sha256.Sum256(text)
	return &file{
		contentType: contentTypes[extension],
		tag:         `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		plain:       text,
		gzipped:     sync.OnceValue(func() []byte { return compress(text) }),
	}
}

// compress returns the text compressed. It is called at the first request, so that a distributor
// whose page is not used spends neither the time nor the memory.
func compress(text []byte) []byte {
	var gzipped bytes.Buffer
	compressor, _ := gzip.NewWriterLevel(&gzipped, gzip.BestCompression) // the level is valid
	_, _ = compressor.Write(text)                                        // writing to a buffer does not fail
	_ = compressor.Close()
	return gzipped.Bytes()
}

// Has reports whether there is a file at a path.
func (h *Handler) Has(path string) bool {
	files, err := h.load()
	return err != nil || files[path] != nil // ServeHTTP reports the error
}

// ServeHTTP serves a file by the path of the request. Browsers keep files and ask each time whether
// they have changed, so that no page mixes the files of two versions.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	files, err := h.load()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f := files[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", f.tag)
	if isKept(r.Header.Values("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := f.plain
	if acceptsGzip(r.Header.Values("Accept-Encoding")) && len(f.gzipped()) < len(f.plain) {
		text = f.gzipped()
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // an error means that the client has disconnected
}

// isKept reports whether If-None-Match has a tag.
func isKept(fields []string, tag string) bool {
	for one := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether Accept-Encoding has gzip.
func acceptsGzip(fields []string) bool {
	for coding := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64); name == "gzip" && (err != nil || weight > 0) {
			return true
		}
	}
	return false
}
