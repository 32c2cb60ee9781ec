package gelf

import (
	"net/http"
	"sync"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/server"
)

// path is that of records over HTTP. A request has one or several that follow each other, as
// Fluent Bit's http output sends them.
const path = "/gelf"

// Protocol answers requests over HTTP. It may be used concurrently.
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
	if r.Path != path {
		return false
	}
	if r.Method != http.MethodPost {
		receiver.RefuseText(to, p.receiver.RefuseMethod(http.MethodPost))
		to.Allow = http.MethodPost
		return true
	}
	from, why := p.receiver.Authenticate(r)
	if why == nil {
		why = p.accept(r, from)
	}
	if why != nil {
		receiver.RefuseText(to, why)
		return true
	}
	*to = http1.Response{Status: http.StatusAccepted, Body: to.Body[:0]}
	return true
}

// accept has a record accepted, or returns why it is not.
func (p *Protocol) accept(r *server.Request, from receiver.Sender) *problem.Problem {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return why
	}
	request := p.receiver.NewRequest(ctx, from, body)
	return p.receiver.AcceptRequest(request, path, p.translate(request))
}

// translate adds the records of a request to its packets.
func (p *Protocol) translate(q *receiver.Request) error {
	t := p.translators.Get().(*translator)
	defer p.translators.Put(t)
	defer t.trim()
	rest := q.Body
	for records := 0; records == 0 || len(rest) > 0; records++ {
		one, behind, err := next(rest)
		if err != nil {
			return &receiver.UnreadError{Records: records, Err: err}
		}
		if err := translateOne(t, q, one); err != nil {
			return err
		}
		rest = behind
	}
	return nil
}

// translateOne adds a record to the packets of a request, or rejects it.
func translateOne(t *translator, q *receiver.Request, one []byte) error {
	nano, err := t.read(one)
	if err != nil {
		return q.Reject(1, err)
	}
	q.Begin(&t.message, nano)
	return q.Add(q.Packets.Group(t.fill(q.Client)), &t.message)
}

// next returns the first JSON value of a body, and what follows it.
func next(body []byte) (value, rest []byte, err error) {
	end, err := jsontext.Scan(body, 0)
	if err != nil {
		return nil, nil, err
	}
	return body[:end], body[jsontext.Space(body, end):], nil
}
