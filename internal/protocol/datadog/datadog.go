// Package datadog takes logs as Datadog's intake does: POST /api/v2/logs.
package datadog

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

// The paths of the protocol. The second one is that of old agents.
const (
	logsPath     = "/api/v2/logs"
	inputPath    = "/v1/input"
	validatePath = "/api/v1/validate"
)

// maxRetryAfter bounds the wait that a refusal asks for, in seconds.
const maxRetryAfter = 5

var errNoRecord = errors.New("the body must be a JSON object, or an array of them")

// fields are the members with a meaning of their own.
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

// New returns the protocol on the way of a receiver.
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
		refuse(to, p.receiver.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: "the path allows " + method}))
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
	ctx, cancel := receiver.WithRoom()
	defer cancel()
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return why
	}
	packets := p.receiver.NewPackets(ctx)
	t := p.translators.Get().(*translator)
	t.packets, t.sender, t.arrival, t.untimed, t.skewed = packets, from.Client, time.Now(), false, 0
	err := t.records(body.Body)
	id := p.receiver.SequenceID()
	if !t.untimed {
		id = p.receiver.ContentID(from, logsPath, body.Body)
	}
	for range t.skewed {
		p.receiver.CountSkewed(1)
	}
	t.packets = nil
	t.message.Trim()
	p.translators.Put(t)
	p.receiver.Release(body)
	if err != nil {
		return p.receiver.RefuseUntranslated(packets, err)
	}
	return p.receiver.Accept(ctx, from, packets, id)
}

// refuse answers with a status that Datadog's agents act upon: they send again after 429 and
// 5xx.
func refuse(to *http1.Response, why *problem.Problem) {
	status := why.HTTPStatus()
	switch {
	case why.Code == problem.AckTimeout:
		status = http.StatusServiceUnavailable
	case why.Code == problem.Unauthorized:
		status = http.StatusForbidden
	case why.Code == problem.UnsupportedEncoding:
		status = http.StatusBadRequest
	}
	body := problem.AppendQuoted(append(to.Body[:0], `{"errors":[{"status":"`+http.StatusText(status)+`","detail":`...), why.Detail)
	to.SetJSON(status, append(body, `}]}`...))
	to.RetryAfter = min(why.RetryAfter, maxRetryAfter)
}

// translator makes packets of records. It is reused, and must not be used concurrently.
type translator struct {
	packets *record.Packets
	sender  netip.Addr
	arrival time.Time

	document record.Document
	message  record.Message
	untimed  bool // a record has no timestamp
	skewed   int  // records
}

// records translates a record, or an array of records.
func (t *translator) records(body []byte) error {
	value, err := jsontext.Valid(body)
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

func (t *translator) record(object []byte) error {
	if jsontext.KindOf(object) != jsontext.Object {
		return errNoRecord
	}
	d := &t.document
	d.Read(object, fields)
	t.begin()
	t.message.SetString("input", "datadog")
	emitter := d.Emitter(serviceFields, instanceFields, t.sender)
	d.AddTo(&t.message)
	return t.packets.Group(emitter).Add(&t.message)
}

// begin starts the message with the first time that the record has.
func (t *translator) begin() {
	nano, from := t.document.Time(timeFields...)
	t.document.Use(from)
	t.untimed = t.untimed || nano == 0
	if t.message.BeginAt(nano, t.arrival) {
		t.skewed++
	}
}
