package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// writeTimeout bounds the writing of a response, and of each part of a stream.
const writeTimeout = 30 * time.Second

// compressedBytes is the size from which a response is compressed if the client accepts it.
const compressedBytes = 4 << 10

// response is the response to a request that is not refused.
type response struct {
	status   int   // 0: status 200
	revision int64 // 0: there is none
	location string
	cookie   *http.Cookie
	// A response has at most one of body, text, stream and page. A body is encoded as JSON; text and
	// stream have a content type.
	body        any
	contentType string
	text        []byte
	// stream writes the response in parts until the request's context ends.
	stream func(*stream)
	// page answers with a file of the console.
	page http.Handler
}

// writeTo writes the response to a request.
func (a *response) writeTo(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if a.revision != 0 {
		header.Set("ETag", strconv.Quote(strconv.FormatInt(a.revision, 10)))
	}
	if a.location != "" {
		header.Set("Location", a.location)
	}
	if a.cookie != nil {
		http.SetCookie(w, a.cookie)
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case a.stream != nil:
		header.Set("Content-Type", a.contentType)
		a.stream(newStream(w, r))
	case a.page != nil:
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		a.page.ServeHTTP(w, r)
	case a.text != nil:
		write(w, r, status, a.contentType, a.text)
	case a.body != nil:
		writeJSON(w, r, status, "application/json", a.body)
	default:
		w.WriteHeader(status)
	}
}

// writeTo writes the problem document of the refusal.
func (r *refusal) writeTo(w http.ResponseWriter, to *http.Request) {
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	if r.Code == unauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="logstreamer"`)
	}
	writeJSON(w, to, r.Status, "application/problem+json", r)
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // a defect, which the guard reports
	}
	write(w, r, status, contentType, text.Bytes())
}

func write(w http.ResponseWriter, r *http.Request, status int, contentType string, text []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", contentType)
	if len(text) >= compressedBytes && acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		compressor := gzip.NewWriter(w)
		_, _ = compressor.Write(text) // an error means that the client is gone
		_ = compressor.Close()
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";"); name == "gzip" && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}
