// Package loki takes logs as Grafana Loki does: POST /loki/api/v1/push, in protobuf and in JSON.
package loki

import (
	"bytes"
	"context"
	"net/http"
	"sync"

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
	receiver.AnswerText(to, http.StatusOK, "ready")
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
		receiver.RefuseText(to, why)
		return
	}
	*to = http1.Response{Status: http.StatusNoContent}
}

func (p *Protocol) refuseMethod(to *http1.Response, allow string) {
	receiver.RefuseText(to, p.receiver.RefuseMethod(allow))
	to.Allow = allow
}

// accept has the records of a push accepted, or returns why they are not.
func (p *Protocol) accept(r *server.Request, from receiver.Sender) *problem.Problem {
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := p.read(ctx, r)
	if why != nil {
		return why
	}
	request := p.receiver.NewRequest(ctx, from, body)
	t := p.translators.Get().(*translator)
	t.begin(request)
	var err error
	if isJSON(r.Head.ContentType) {
		err = t.pushJSON(request.Body)
	} else {
		err = t.push(request.Body)
	}
	t.trim()
	p.translators.Put(t)
	return p.receiver.AcceptRequest(request, pushPath+" "+string(r.Head.Field("x-scope-orgid")), err)
}

// read reads the body. In protobuf it is a snappy block, usually without a Content-Encoding.
func (p *Protocol) read(ctx context.Context, r *server.Request) (*packet.Packet, *problem.Problem) {
	body, why := p.receiver.Read(ctx, r)
	if why != nil || isJSON(r.Head.ContentType) || hasSnappy(r.Head) {
		return body, why
	}
	defer p.receiver.Release(body)
	return p.receiver.DecodeBlock(body.Body)
}

// hasSnappy reports whether the Content-Encoding, which Read has decoded, includes snappy.
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
