// Package console is the live page of a distributor. A browser loads it from the admin
// server, and from there on it uses the admin API as any other client does: the page has no
// data of its own. Its files are embedded as they are written; nothing builds them.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/docs"
)

//go:embed page
var files embed.FS

// Folder is the path of all files but the page itself, which is at "/".
const Folder = "/console/"

// contentSecurityPolicy lets the page load what this server has, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// contentTypes are by the extension of a file; files with others are not served.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".md": "text/markdown; charset=utf-8",
}

// Handler serves the page. It may be used concurrently.
type Handler struct {
	files map[string]*file // by path
}

// file is a file in the forms in which it is sent.
type file struct {
	contentType string
	tag         string // weak: it is the same for both forms
	plain       []byte
	gzipped     func() []byte // compresses at the first call; it may be called concurrently
}

// New returns a handler. The page of a demo can also stop and start analyzers.
func New(demo bool) (*Handler, error) {
	h := &Handler{files: make(map[string]*file)}
	h.add(Folder+"runbook.md", []byte(docs.Runbook))
	err := fs.WalkDir(files, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || contentTypes[path.Ext(name)] == "" {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if name == "page/index.html" {
			if demo {
				text = bytes.Replace(text, []byte("<html "), []byte("<html data-demo "), 1)
			}
			h.add("/", text)
			return nil
		}
		h.add(Folder+strings.TrimPrefix(name, "page/"), text)
		return nil
	})
	return h, err
}

// add adds a file.
func (h *Handler) add(name string, text []byte) {
	contentType := contentTypes[path.Ext(name)]
	if name == "/" {
		contentType = contentTypes[".html"]
	}
	sum := sha256.Sum256(text)
	h.files[name] = &file{
		contentType: contentType,
		tag:         `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		plain:       text,
		gzipped:     sync.OnceValue(func() []byte { return compress(text) }),
	}
}

// compress returns the text compressed. A distributor whose page nobody opens spends neither
// the time at its start nor the memory.
func compress(text []byte) []byte {
	var gzipped bytes.Buffer
	compressor, _ := gzip.NewWriterLevel(&gzipped, gzip.BestCompression) // the level is valid
	_, _ = compressor.Write(text)                                        // a buffer takes all
	_ = compressor.Close()
	return gzipped.Bytes()
}

// ServeHTTP serves a file by the path of the request. Browsers keep files and ask each time
// whether they are still the same, so that no page mixes the files of two versions.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.files[r.URL.Path]
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
	_, _ = w.Write(text) // an error means that the client is gone
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
