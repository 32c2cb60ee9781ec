package gelf

import (
	"net/http"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/server"
)

// path is that of records over HTTP, each in a request of its own.
const path = "/gelf"

// maxRetryAfter bounds the wait that a refusal asks for, in seconds.
const maxRetryAfter = 5

// Protocol answers requests over HTTP. It may be used concurrently.
type Protocol struct {
	receiver    *receiver.Receiver
	translators sync.Pool // of *Translator
}

// New returns the protocol over HTTP on the way of a receiver.
func New(r *receiver.Receiver) *Protocol {
	return &Protocol{receiver: r, translators: sync.Pool{New: func() any { return new(Translator) }}}
}

// Handle implements receiver.HTTP.
func (p *Protocol) Handle(r *server.Request, to *http1.Response) (handled bool) {
	if r.Path != path {
		return false
	}
	if r.Method != http.MethodPost {
		refuse(to, p.receiver.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: "the path allows POST"}))
		to.Allow = http.MethodPost
		return true
	}
	from, why := p.receiver.Authenticate(r)
	if why == nil {
		why = p.accept(r, from)
	}
	if why != nil {
		refuse(to, why)
		return true
	}
	*to = http1.Response{Status: http.StatusAccepted, Body: to.Body[:0]}
	return true
}

// accept has a record accepted, or returns why it is not.
func (p *Protocol) accept(r *server.Request, from receiver.Sender) *problem.Problem {
	ctx, cancel := receiver.WithRoom()
	defer cancel()
	body, why := p.receiver.Read(ctx, r)
	if why != nil {
		return why
	}
	packets := p.receiver.NewPackets(ctx)
	t := p.translators.Get().(*Translator)
	translated, err := t.Translate(body.Body, from.Client, time.Now())
	if err == nil {
		err = packets.Group(translated.Emitter).Add(translated.Message)
	}
	id := p.receiver.SequenceID()
	if translated.Timed {
		id = p.receiver.ContentID(from, path, body.Body)
	}
	if translated.Skewed {
		p.receiver.CountSkewed(1)
	}
	t.Trim()
	p.translators.Put(t)
	p.receiver.Release(body)
	if err != nil {
		return p.receiver.RefuseUntranslated(packets, err)
	}
	return p.receiver.Accept(ctx, from, packets, id)
}

func refuse(to *http1.Response, why *problem.Problem) {
	status := why.HTTPStatus()
	switch why.Code {
	case problem.AckTimeout:
		status = http.StatusServiceUnavailable
	case problem.UnsupportedEncoding:
		status = http.StatusBadRequest
	}
	*to = http1.Response{Status: status, ContentType: "text/plain; charset=utf-8", Body: append(append(to.Body[:0], why.Detail...), '\n')}
	to.RetryAfter = min(why.RetryAfter, maxRetryAfter)
	if why.Code == problem.Unauthorized {
		to.Authenticate = "Basic"
	}
}
