package server

import (
	"crypto/x509"
	"io"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/http1"
)

// Request is a request whose head was read. It is valid until it is answered.
type Request struct {
	Method string
	// Path is the target's, without percent-encoding and with single slashes.
	Path string

	Head   *http1.Head
	Body   io.Reader
	Client netip.Addr // see clientquota.ClientOf
	// Certificate is the client's, verified, or nil. Session is the connection's, or nil.
	Certificate *x509.Certificate
	Session     *credential.Session
	// Started is when the head arrived.
	Started time.Time

	query     string
	announced func() int64 // of the body that the server gave; nil for none
}

// NewRequest returns the request of a head. The target of a head is well-formed but
// for its percent-encoding.
func NewRequest(head *http1.Head, body io.Reader, client netip.Addr, started time.Time) *Request {
	r := &Request{Method: string(head.Method), Head: head, Body: body, Client: client, Started: started}
	if body, ok := body.(interface{ Announced() int64 }); ok {
		r.announced = body.Announced
	}
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

// Parameter returns the first parameter of the query that has the name. What is no
// percent-encoding is returned as it is.
func (r *Request) Parameter(name string) (value string, given bool) {
	for pair := range strings.SplitSeq(r.query, "&") {
		key, text, _ := strings.Cut(pair, "=")
		if unescaped(key) == name && pair != "" {
			return unescaped(text), true
		}
	}
	return "", false
}

func unescaped(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// Announced returns how many bytes of the body follow at least those that were read: with chunks
// the rest of the present one.
func (r *Request) Announced() int64 {
	if r.announced == nil {
		return 0
	}
	return r.announced()
}

// Length returns the length of the body in bytes, or -1 if it is not known.
func (r *Request) Length() int64 {
	if r.Head.Length < 0 && !r.Head.Chunked {
		return 0
	}
	return r.Head.Length
}
