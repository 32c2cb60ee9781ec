// Package datadog takes logs as Datadog's intake does: POST /api/v2/logs.
package datadog

import (
	"errors"
	"net/http"
	"sync"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// The paths of the protocol. Old agents send to inputPath.
const (
	logsPath     = "/api/v2/logs"
	inputPath    = "/v1/input"
	validatePath = "/api/v1/validate"
)

var errNoRecord = errors.New("the body must be a JSON object, or an array of them")

// fields are the members of records that set more than metadata.
var fields = record.NewDocumentFields("timestamp", "date", "@timestamp", "service", "ddsource", "source", "hostname", "host")

var (
	timeFields     = []int{0, 1, 2}
	serviceFields  = []int{3, 4, 5}
	instanceFields = []int{6, 7}
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
	switch r.Path {
	case logsPath, inputPath:
	case validatePath:
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

// token returns the token of a request: DD-API-KEY, as a field or a parameter, or Authorization.
func token(r *server.Request) []byte {
	if key := r.Head.Field("dd-api-key"); len(key) > 0 {
		return key
	}
	if key, given := r.Parameter("dd-api-key"); given {
		return []byte(key)
	}
	return receiver.Token(r.Head.Authorization)
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
	err := t.translate(request)
	p.translators.Put(t)
	return p.receiver.AcceptRequest(request, logsPath, err)
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
	document record.Document
	message  record.Message
}

// translate translates a record, or an array of records.
func (t *translator) translate(request *receiver.Request) error {
	t.request = request
	defer func() {
		t.request = nil
		t.message.Trim()
	}()
	value, err := jsontext.Valid(request.Body)
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
	emitter := d.Emitter(serviceFields, instanceFields, t.request.Client)
	d.AddTo(&t.message)
	return t.request.Add(t.request.Packets.Group(emitter), &t.message)
}
