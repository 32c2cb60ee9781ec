// Package httpsink is the base of sinks whose backends take batches of packets by HTTP POST.
// A Backend defines where requests go, how packets are encoded and what a response means; the
// Sink has connections, TLS, credentials, deadlines, probes and the rules that all backends
// have in common. It uses net/http: a request carries a batch, so that its cost is small
// for each message.
package httpsink

import (
	"cmp"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// Backend describes one kind of backend, with the options of one analyzer.
type Backend struct {
	// Path is where requests are posted to, with its query, behind the path of the base
	// URL: "/loki/api/v1/push".
	Path        string
	ContentType string
	// Header are further fields of all requests and probes; nil is none.
	Header http.Header
	// TokenScheme is the scheme of Authorization for a token without one; empty means
	// Bearer.
	TokenScheme string
	// Probe is the request of a health probe; 2xx means healthy.
	Probe Probe
	// NewCodec returns the Codec of one sender.
	NewCodec func() Codec
	// Origins means that the Codec encodes packets with an Origin from that: they need not be
	// complete.
	Origins bool
	// Compressed means that bodies are compressed already: there is no option gzip.
	Compressed bool

	// Parse sets these from options that all backends have.
	gzip      bool
	tokenFile string
}

// TokenFile returns the path of the file with the credentials, empty for none.
func (b Backend) TokenFile() string { return b.tokenFile }

// Scheme returns the scheme of Authorization for a token without one.
func (b Backend) Scheme() string { return cmp.Or(b.TokenScheme, "Bearer") }

// Probe is a request whose response shows whether a backend is healthy.
type Probe struct {
	Method, Path string
	Body         []byte
}

// Codec translates for one sender. It must not be used concurrently.
type Codec interface {
	// Encode appends the body of a request with the packets to r.Body, and may append to
	// r.Query. The same packets give the same request: so a retry is recognised by
	// backends that can. It must not retain the packets.
	Encode(r *Request, packets []*packet.Packet)
	// Result returns what became of the packets; Response.Result has the rules that
	// backends have in common.
	Result(r *Response, packets []*packet.Packet) sink.Result
}

// Request is what differs from request to request. Encode finds it empty.
type Request struct {
	Body []byte
	// Query are parameters beside those of Backend.Path, encoded: "a=b".
	Query []byte
}

// Response is a response that was read to its end.
type Response struct {
	Status int
	Header http.Header
	// Body is valid until the next request.
	Body []byte
}
