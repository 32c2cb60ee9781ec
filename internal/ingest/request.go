package ingest

import (
	"io"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// Request is a request whose head was read. It is valid until it is answered.
type Request struct {
	Method string
	// Path is the target's, without percent-encoding and with single slashes.
	Path string

	head    *http1.Head
	query   string
	body    io.Reader
	started time.Time
	client  netip.Addr // whoever sends it, by address
}

// NewRequest returns the request of a head. The target of a head is well-formed but
// for its percent-encoding.
func NewRequest(head *http1.Head, body io.Reader, client netip.Addr, started time.Time) *Request {
	r := &Request{Method: string(head.Method), head: head, body: body, client: client, started: started}
	target := string(head.Target)
	if _, behind, absolute := strings.Cut(target, "://"); absolute && target[0] != '/' {
		target = "/"
		if at := strings.IndexAny(behind, "/?"); at >= 0 {
			target = behind[at:]
		}
	}
	r.Path, r.query, _ = strings.Cut(target, "?")
	if decoded, err := url.PathUnescape(r.Path); err == nil {
		r.Path = decoded
	}
	if r.Path == "" || strings.Contains(r.Path, "//") {
		r.Path = path.Clean("/" + r.Path)
	}
	return r
}

// parameter returns a parameter of the query.
func (r *Request) parameter(name string) (value string, given bool) {
	if r.query == "" {
		return "", false
	}
	values, _ := url.ParseQuery(r.query) // of which those that can be read count
	return values.Get(name), values.Has(name)
}

// length returns the body's in bytes, -1 when only its end tells. It is at most
// MaxBodyBytes, which is checked before.
func (r *Request) length() int {
	if r.head.Length < 0 && !r.head.Chunked {
		return 0
	}
	return int(r.head.Length)
}

// isFastPath reports whether a request is one of packets as nearly all emitters send
// it: with a length, and with nothing that asks for more than to take the body.
func isFastPath(h *http1.Head) bool {
	return string(h.Method) == "POST" && string(h.Target) == "/ingest" && h.Minor >= 1 && h.Length >= 0 &&
		!h.Close && !h.ExpectsContinue && !h.Encoded
}
