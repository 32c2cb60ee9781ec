// Package loki takes logs as Grafana Loki does: POST /loki/api/v1/push, in protobuf and in JSON.
package loki

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/server"
)

// The paths of the protocol.
const (
	pushPath  = "/loki/api/v1/push"
	readyPath = "/ready"
)

// maxRetryAfter bounds the wait that a refusal asks for, in seconds.
const maxRetryAfter = 5

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
	switch r.Path {
	case pushPath:
		p.handlePush(r, to)
	case readyPath:
		p.handleReady(r, to)
	default:
		return false
	}
	return true
}

func (p *Protocol) handleReady(r *server.Request, to *http1.Response) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.refuseMethod(to, "GET, HEAD")
		return
	}
	answer(to, http.StatusOK, "ready")
}

func (p *Protocol) handlePush(r *server.Request, to *http1.Response) {
	if r.Method != http.MethodPost {
		p.refuseMethod(to, http.MethodPost)
		return
	}
	from, why := p.receiver.Authenticate(r)
	if why == nil {
		why = p.accept(r, from)
	}
	if why != nil {
		refuse(to, why)
		return
	}
	*to = http1.Response{Status: http.StatusNoContent}
}

func (p *Protocol) refuseMethod(to *http1.Response, allow string) {
	refuse(to, p.receiver.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: "the path allows " + allow}))
	to.Allow = allow
}

// accept has the records of a push accepted, or returns why they are not.
func (p *Protocol) accept(r *server.Request, from receiver.Sender) *problem.Problem {
	ctx, cancel := receiver.WithRoom()
	defer cancel()
	body, why := p.read(ctx, r)
	if why != nil {
		return why
	}
	packets := p.receiver.NewPackets(ctx)
	t := p.translators.Get().(*translator)
	t.begin(packets, from.Client, time.Now())
	var err error
	if isJSON(r.Head.ContentType) {
		err = t.pushJSON(body.Body)
	} else {
		err = t.push(body.Body)
	}
	id := ""
	if err == nil {
		id = p.id(from, r, t, body.Body)
	}
	for range t.skewed {
		p.receiver.CountSkewed(1)
	}
	t.trim()
	p.translators.Put(t)
	p.receiver.Release(body)
	if err != nil {
		return p.receiver.RefuseUntranslated(packets, err)
	}
	return p.receiver.Accept(ctx, from, packets, id)
}

// read reads the body. One of protobuf is compressed with snappy, which no field says.
func (p *Protocol) read(ctx context.Context, r *server.Request) (*packet.Packet, *problem.Problem) {
	body, why := p.receiver.Read(ctx, r)
	if why != nil || isJSON(r.Head.ContentType) || hasSnappy(r.Head) {
		return body, why
	}
	defer p.receiver.Release(body)
	return p.receiver.DecodeBlock(body.Body)
}

// hasSnappy reports whether a coding that is undone was snappy.
func hasSnappy(head *http1.Head) bool {
	for coding := range head.Values("content-encoding") {
		if http1.Is(coding, "snappy") {
			return true
		}
	}
	return false
}

// isJSON reports whether a body is JSON; like Loki, everything else is protobuf.
func isJSON(contentType []byte) bool {
	mediaType, _, _ := bytes.Cut(contentType, []byte{';'})
	return http1.Is(bytes.TrimSpace(mediaType), "application/json")
}

func (p *Protocol) id(from receiver.Sender, r *server.Request, t *translator, body []byte) string {
	if t.untimed {
		return p.receiver.SequenceID()
	}
	return p.receiver.ContentID(from, pushPath+" "+string(r.Head.Field("x-scope-orgid")), body)
}

// refuse answers with the status that clients of Loki act upon: they send again after 429 and
// 5xx, and drop after other ones.
func refuse(to *http1.Response, why *problem.Problem) {
	status := why.HTTPStatus()
	switch why.Code {
	case problem.AckTimeout:
		status = http.StatusServiceUnavailable
	case problem.UnsupportedEncoding:
		status = http.StatusBadRequest
	}
	answer(to, status, why.Detail)
	if why.Code == problem.Unauthorized {
		to.Authenticate = "Basic"
	}
	to.RetryAfter = min(why.RetryAfter, maxRetryAfter)
}

func answer(to *http1.Response, status int, text string) {
	*to = http1.Response{Status: status, ContentType: "text/plain; charset=utf-8", Body: append([]byte(text), '\n')}
}
