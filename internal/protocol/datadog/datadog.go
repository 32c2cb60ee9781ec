// Package datadog takes logs as Datadog's intake does: POST /api/v2/logs.
package datadog

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// The paths of the protocol. Old agents send to inputPath, or below it with the token.
const (
	logsPath     = "/api/v2/logs"
	inputPath    = "/v1/input"
	validatePath = "/api/v1/validate"
)

// tokenParameters are the names of parameters with the token; old agents validate api_key.
var tokenParameters = []string{"dd-api-key", "api_key"}

var errNoRecord = errors.New("the body must be a JSON object, or an array of them")

// fields are the members of records that set more than metadata, or have a default.
var fields = record.NewDocumentFields("service", "ddsource", "hostname", "ddtags", "timestamp", "date", "@timestamp", "source", "host")

// The first fields have defaults in the query of the request, as parameters of these names.
var parameters = [...]string{"service", "ddsource", "hostname", "ddtags"}

var (
	timeFields     = []int{4, 5, 6}
	serviceFields  = []int{0, 1, 7}
	instanceFields = []int{2, 8}
)

// Protocol answers requests. It may be used concurrently.
type Protocol struct {
	receiver    *receiver.Receiver
	translators sync.Pool // of *translator
}

// New returns a Protocol whose packets a receiver accepts.
func New(r *receiver.Receiver) *Protocol {
	return &Protocol{receiver: r, translators: sync.Pool{New: func() any { return new(translator) }}}
}

// Handle implements receiver.HTTP.
func (p *Protocol) Handle(r *server.Request, to *http1.Response) (handled bool) {
	method := http.MethodPost
	switch {
	case r.Path == logsPath || r.Path == inputPath || tokenOfPath(r) != "":
	case r.Path == validatePath:
		method = http.MethodGet
	default:
		return false
	}
	if r.Method != method {
		refuse(to, p.receiver.RefuseMethod(method))
		to.Allow = method
		return true
	}
	from, why := p.receiver.AuthenticateToken(r, token(r))
	switch {
	case why != nil:
	case r.Path == validatePath:
		to.SetJSON(http.StatusOK, append(to.Body[:0], `{"valid":true}`...))
		return true
	default:
		why = p.accept(r, from)
	}
	if why != nil {
		refuse(to, why)
		return true
	}
	to.SetJSON(http.StatusAccepted, append(to.Body[:0], "{}"...))
	return true
}

// token returns the token of a request: DD-API-KEY, as a field or a parameter, the end of the path, or
// Authorization.
func token(r *server.Request) []byte {
	if key := r.Head.Field("dd-api-key"); len(key) > 0 {
		return key
	}
	for _, name := range tokenParameters {
		if key, given := r.Parameter(name); given {
			return []byte(key)
		}
	}
	if key := tokenOfPath(r); key != "" {
		return []byte(key)
	}
	return receiver.Token(r.Head.Authorization)
}

// tokenOfPath returns what is below inputPath, or "".
func tokenOfPath(r *server.Request) string {
	key, found := strings.CutPrefix(r.Path, inputPath+"/")
	if !found || strings.Contains(key, "/") {
		return ""
	}
	return key
}

// accept has the records of a request accepted, or returns why they are not.
func (p *Protocol) accept(r *server.Request, from receiver.Sender) *problem.Problem {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return why
	}
	request := p.receiver.NewRequest(ctx, from, body)
	t := p.translators.Get().(*translator)
	target := t.begin(r, request)
	err := t.translate()
	t.end()
	p.translators.Put(t)
	return p.receiver.AcceptRequest(request, target, err)
}

// refuse answers with a status that Datadog's agents handle: they retry after 429 and 5xx.
func refuse(to *http1.Response, why *problem.Problem) {
	status := receiver.StatusOf(why)
	if why.Code == problem.Unauthorized {
		status = http.StatusForbidden
	}
	body := problem.AppendQuoted(append(to.Body[:0], `{"errors":[{"status":"`+http.StatusText(status)+`","detail":`...), why.Detail)
	to.SetJSON(status, append(body, `}]}`...))
	to.RetryAfter = receiver.RetryAfterOf(why)
}

// translator makes packets of records. It is reused, and must not be used concurrently.
type translator struct {
	request  *receiver.Request
	defaults [len(parameters)][]byte // of the request's query, by the index of fields
	document record.Document
	message  record.Message
	emitter  []byte
}

// begin starts a request. It returns what the records depend on beside the body.
func (t *translator) begin(r *server.Request, request *receiver.Request) (target string) {
	t.request, target = request, logsPath
	for n, name := range parameters {
		value, _ := r.Parameter(name)
		t.defaults[n] = []byte(value)
		if value != "" {
			target += "\x00" + name + "=" + value
		}
	}
	return target
}

// end releases the request, and memory that a large one needed.
func (t *translator) end() {
	t.request = nil
	t.message.Trim()
}

// translate translates a record, or an array of records.
func (t *translator) translate() error {
	value, err := jsontext.Valid(t.request.Body)
	if err != nil {
		return err
	}
	if jsontext.KindOf(value) != jsontext.Array {
		return t.record(value)
	}
	for one := range jsontext.Elements(value) {
		if err := t.record(one); err != nil {
			return err
		}
	}
	return nil
}

// record translates a record, or rejects it.
func (t *translator) record(object []byte) error {
	if jsontext.KindOf(object) != jsontext.Object {
		return t.request.Reject(1, errNoRecord)
	}
	d := &t.document
	d.Read(object, fields)
	nano, from := d.Time(timeFields...)
	d.Use(from)
	t.request.Begin(&t.message, nano)
	t.message.SetString("input", "datadog")
	for n, name := range parameters {
		if value := t.defaults[n]; len(value) > 0 && d.Value(n) == nil {
			t.message.Set(name, value)
		}
	}
	emitter := t.emitterID()
	d.AddTo(&t.message)
	return t.request.Add(t.request.Packets.Group(emitter), &t.message)
}

// emitterID returns the emitter_id of the record, until the next call.
func (t *translator) emitterID() []byte {
	t.emitter = append(t.emitter[:0], t.first(serviceFields)...)
	t.emitter = record.AppendInstance(t.emitter, t.first(instanceFields), t.request.Client)
	return t.emitter
}

// first returns the first text of some fields, or defaults of those that the record lacks, until the
// next call.
func (t *translator) first(indices []int) []byte {
	for _, n := range indices {
		if text := t.document.Text(n); len(text) > 0 {
			return text
		}
		if n < len(t.defaults) && t.document.Value(n) == nil && len(t.defaults[n]) > 0 {
			return t.defaults[n]
		}
	}
	return nil
}
