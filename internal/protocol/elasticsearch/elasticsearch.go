// Package elasticsearch serves the part of Elasticsearch's API that log shippers use: the bulk API,
// single documents, and the requests that clients make before they send documents.
package elasticsearch

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/server"
)

// prefix is a second path under which the protocol is served.
const prefix = "/elasticsearch"

// Config holds the user settings; the tags are those of package config.
type Config struct {
	// Version is the version that the input reports to clients, which reject old versions or choose
	// their requests by it.
	Version string `env:"ELASTICSEARCH_VERSION" help:"version of Elasticsearch that the input reports to its clients"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Version: "8.17.0"} }

// Validate returns an error unless the settings are possible.
func (c Config) Validate() error {
	if !versionForm.MatchString(c.Version) {
		return fmt.Errorf("ELASTICSEARCH_VERSION is %q: it must be a version such as 8.17.0", c.Version)
	}
	return nil
}

var versionForm = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$`)

// Protocol answers requests. It may be used concurrently.
type Protocol struct {
	receiver    *receiver.Receiver
	version     string
	translators sync.Pool // of *translator
}

// New returns the protocol of a receiver.
func New(config Config, r *receiver.Receiver) *Protocol {
	return &Protocol{
		receiver: r, version: config.Version,
		translators: sync.Pool{New: func() any { return newTranslator() }},
	}
}

// Shared is the protocol on a port with other protocols. It has only the paths that no other
// protocol uses: paths under /elasticsearch, paths with a part that begins with an underscore, and
// HEAD and PUT of an index. It may be used concurrently.
type Shared struct{ Protocol *Protocol }

// Handle implements receiver.HTTP.
func (s Shared) Handle(r *server.Request, to *http1.Response) (handled bool) {
	path, prefixed := strings.CutPrefix(r.Path, prefix)
	switch {
	case prefixed && (path == "" || path[0] == '/'):
	case r.Path == "/", strings.Contains(r.Path, "/_"):
	case isIndex(r.Path) && (r.Method == http.MethodHead || r.Method == http.MethodPut):
	default:
		return false
	}
	return s.Protocol.Handle(r, to)
}

// isIndex reports whether a path is the path of an index: one part, which is not the name of a
// file.
func isIndex(path string) bool {
	return len(path) > 1 && strings.IndexByte(path[1:], '/') < 0
}

// Handle implements receiver.HTTP.
func (p *Protocol) Handle(r *server.Request, to *http1.Response) (handled bool) {
	path, prefixed := strings.CutPrefix(r.Path, prefix)
	if !prefixed || path != "" && path[0] != '/' {
		path = r.Path
	}
	from, why := p.receiver.Authenticate(r)
	if why != nil {
		refuse(to, why)
		return true
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch d, kind := destinationOf(parts); kind {
	case bulkRequest:
		if p.allows(r, to, http.MethodPost, http.MethodPut) {
			p.bulk(r, from, d, to)
		}
	case documentRequest:
		if p.allows(r, to, http.MethodPost, http.MethodPut) {
			p.single(r, from, d, to)
		}
	default:
		p.handshake(r, parts, to)
	}
	return true
}

// allows refuses a request with a method other than the given ones.
func (p *Protocol) allows(r *server.Request, to *http1.Response, methods ...string) bool {
	for _, method := range methods {
		if r.Method == method {
			return true
		}
	}
	p.refuseMethod(to, strings.Join(methods, ", "))
	return false
}

func (p *Protocol) refuseMethod(to *http1.Response, allow string) {
	refuse(to, p.receiver.RefuseMethod(allow))
	to.Allow = allow
}

// destination is the index and the operation that the path of a request names for its documents.
type destination struct {
	index, id string
	create    bool // the documents must be new
}

// requestKind is the kind of request that a path is for.
type requestKind int

const (
	otherRequest requestKind = iota
	bulkRequest
	documentRequest
)

// destinationOf parses a path: /_bulk, /INDEX/_bulk, /INDEX/_doc, /INDEX/_doc/ID,
// /INDEX/_create/ID, and the paths of old clients, which include a type.
func destinationOf(parts []string) (d destination, kind requestKind) {
	last := parts[len(parts)-1]
	switch {
	case last == "_bulk" && len(parts) <= 3:
		if len(parts) > 1 {
			d.index = parts[0]
		}
		return d, bulkRequest
	case len(parts) < 2 || len(parts) > 4:
		return d, otherRequest
	}
	d.index = parts[0]
	switch parts[1] {
	case "_doc":
		if len(parts) == 3 {
			d.id = parts[2]
		}
	case "_create":
		if len(parts) == 2 {
			return d, otherRequest
		}
		d.id, d.create = parts[2], true
	default:
		return d, otherRequest
	}
	return d, documentRequest
}

// handshake answers the requests that clients make before they send documents, or for setup.
func (p *Protocol) handshake(r *server.Request, parts []string, to *http1.Response) {
	text := p.description(parts)
	switch {
	case text == "":
		refuse(to, p.receiver.Refuse(problem.Problem{Code: problem.NotFound, Detail: "the input takes documents, and has no such path"}))
	case r.Method == http.MethodPost && !isSetup(parts):
		p.refuseMethod(to, "GET, HEAD, PUT") // a client would take the response for an accepted document
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		answer(to, http.StatusOK, `{"acknowledged":true}`)
	case p.allows(r, to, http.MethodGet, http.MethodHead, http.MethodPut):
		answer(to, http.StatusOK, text)
	}
}

// isSetup reports whether POST to a path is a request for setup.
func isSetup(parts []string) bool {
	if last := parts[len(parts)-1]; len(parts) == 2 && isOfIndex(last) {
		return true
	}
	return parts[0] != "" && parts[0][0] == '_'
}

// isOfIndex reports whether a name is a resource of an index, or an operation on an index that has
// no document.
func isOfIndex(name string) bool {
	switch name {
	case "_alias", "_aliases", "_mapping", "_mappings", "_settings", "_refresh", "_flush", "_open", "_ilm", "_rollover":
		return true
	}
	return false
}

// description returns the response to GET of a path, or "" for an unknown path.
func (p *Protocol) description(parts []string) string {
	switch parts[0] {
	case "":
		return `{"name":"logstreamer","cluster_name":"logstreamer","cluster_uuid":"bG9nc3RyZWFtZXItaW5wdXQ","version":{"number":"` + p.version +
			`","build_flavor":"default","build_type":"docker","build_hash":"0000000000000000000000000000000000000000","build_date":"2024-01-01T00:00:00.000Z","build_snapshot":false,` +
			`"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}`
	case "_cat":
		return `[{"cluster":"logstreamer","status":"green"}]`
	case "_cluster":
		return `{"cluster_name":"logstreamer","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1,"active_primary_shards":1,"active_shards":1,` +
			`"relocating_shards":0,"initializing_shards":0,"unassigned_shards":0,"active_shards_percent_as_number":100.0}`
	case "_license":
		return `{"license":{"status":"active","uid":"00000000-0000-0000-0000-000000000000","type":"basic","mode":"basic"}}`
	case "_xpack":
		return `{"license":{"status":"active","type":"basic","mode":"basic"},"features":{"ilm":{"available":true,"enabled":true}},"tagline":"You know, for X"}`
	case "_nodes":
		return `{"_nodes":{"total":1,"successful":1,"failed":0},"cluster_name":"logstreamer","nodes":{}}`
	case "_index_template":
		return `{"index_templates":[]}`
	case "_component_template":
		return `{"component_templates":[]}`
	case "_data_stream":
		return `{"data_streams":[]}`
	case "_template", "_ilm", "_ingest", "_alias", "_aliases":
		return `{}`
	}
	if strings.HasPrefix(parts[0], "_") || len(parts) > 1 && !isOfIndex(parts[1]) {
		return ""
	}
	return `{}` // an index, and its aliases, mappings and settings
}

// answer writes a JSON response with the header X-Elastic-Product, without which the clients accept
// no response.
func answer[T string | []byte](to *http1.Response, status int, text T) {
	to.SetJSON(status, append(to.Body[:0], text...))
	to.AddField("X-Elastic-Product", "Elasticsearch")
}

// refuse refuses a whole request. Clients repeat a request after 429.
func refuse(to *http1.Response, why *problem.Problem) {
	status, kind := why.HTTPStatus(), "illegal_argument_exception"
	switch {
	case isTemporary(status):
		status, kind = http.StatusTooManyRequests, "es_rejected_execution_exception"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		kind = "security_exception"
	case why.Code == problem.UnsupportedEncoding:
		status = http.StatusBadRequest
	case why.Code == problem.NotFound:
		kind = "resource_not_found_exception"
	}
	cause := appendCause(nil, kind, why.Detail)
	text := append(append([]byte(`{"error":{"root_cause":[`), cause...), `],`...)
	text = append(append(text, cause[1:]...), `,"status":`...)
	answer(to, status, append(strconv.AppendInt(text, int64(status), 10), '}'))
	to.RetryAfter = receiver.RetryAfterOf(why)
	if why.Code == problem.Unauthorized {
		to.Authenticate = `Basic realm="security"`
	}
}

// isTemporary reports whether the status of a problem means that the request may be accepted
// later: overload, and a delivery that is not known yet.
func isTemporary(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return false
}

// appendCause appends an error's kind and reason.
func appendCause(dst []byte, kind, reason string) []byte {
	dst = append(append(dst, `{"type":"`...), kind...)
	return append(problem.AppendQuoted(append(dst, `","reason":`...), reason), '}')
}

// isBulkHelper reports whether the client describes itself as the bulk helper of the JavaScript
// client. The helper drops a whole request after 429, and repeats items with 429.
func isBulkHelper(head *http1.Head) bool {
	var js, helper bool
	for part := range bytes.SplitSeq(head.Field("x-elastic-client-meta"), []byte{','}) {
		js = js || bytes.HasPrefix(part, []byte("js="))
		helper = helper || bytes.Equal(part, []byte("h=bp"))
	}
	return js && helper
}
