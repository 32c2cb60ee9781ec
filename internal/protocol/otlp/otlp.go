// Package otlp translates the logs of the OpenTelemetry protocol into packets: over HTTP, in
// protobuf and in JSON, and over gRPC.
package otlp

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/otlp"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/server"
)

const (
	path              = "/v1/logs"
	protobufMediaType = "application/x-protobuf"
	jsonMediaType     = "application/json"
	// maxPooledBytes bounds the requests after which a translator is kept with its buffers.
	maxPooledBytes = 4 << 20
)

// HTTP serves OTLP over HTTP. It may be used concurrently.
type HTTP struct{ logs }

// NewHTTP returns the protocol of a receiver.
func NewHTTP(r *receiver.Receiver) *HTTP { return &HTTP{logs{receiver: r}} }

// Handle implements receiver.HTTP.
func (h *HTTP) Handle(r *server.Request, to *http1.Response) (handled bool) {
	if r.Path != path {
		return false
	}
	if r.Method != http.MethodPost {
		h.refuse(to, encodingOf(r.Head.ContentType), h.receiver.Refuse(problem.Problem{Code: problem.MethodNotAllowed, Detail: path + " needs POST"}))
		to.Allow = http.MethodPost
		return true
	}
	h.export(r, to)
	return true
}

func (h *HTTP) export(r *server.Request, to *http1.Response) {
	encoding := encodingOf(r.Head.ContentType)
	from, why := h.receiver.Authenticate(r)
	if why != nil {
		h.refuse(to, encoding, why)
		return
	}
	if encoding == encodingUnknown {
		h.refuse(to, encoding, h.receiver.Refuse(problem.Problem{
			Code: problem.Malformed, Status: http.StatusUnsupportedMediaType,
			Detail: "the Content-Type must be " + protobufMediaType + " or " + jsonMediaType,
		}))
		return
	}
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := h.receiver.Read(ctx, r)
	if why != nil {
		h.refuse(to, encoding, why)
		return
	}
	sum, why := h.accept(ctx, from, body, encoding)
	if why != nil {
		h.refuse(to, encoding, why)
		return
	}
	succeed(to, encoding, sum)
}

// logs is the common part of HTTP and gRPC. It may be used concurrently.
type logs struct {
	receiver    *receiver.Receiver
	translators sync.Pool
}

// accept submits the records of a request, which it releases.
func (l *logs) accept(ctx context.Context, from receiver.Sender, body *packet.Packet, encoding encoding) (summary, *problem.Problem) {
	if encoding == encodingProtobuf && l.receiver.DefersBodies() {
		if sum, why, done := l.acceptDeferred(ctx, from, body); done {
			return sum, why
		}
	}
	packets := l.receiver.NewPackets(ctx, body)
	sum, err := l.translate(body.Body, encoding, packets, from)
	if err != nil || packets.Len() == 0 {
		l.receiver.Release(body)
		if err != nil {
			return sum, l.untranslated(packets, err)
		}
		packets.Drop()
		return l.counted(sum), nil
	}
	id := l.receiver.RequestID(from, path, body.Body, sum.untimed)
	if encoding == encodingJSON { // the memory of the origins is released
		l.receiver.Release(body)
	} else {
		defer l.receiver.Share(body, packets)()
	}
	if why := l.receiver.Accept(ctx, from, packets, id); why != nil {
		return sum, why
	}
	return l.counted(sum), nil
}

// acceptDeferred is accept for packets whose bodies are written only when they are needed, since
// the request contains all their data. It reports false, and has no effect, if that is not
// possible.
func (l *logs) acceptDeferred(ctx context.Context, from receiver.Sender, body *packet.Packet) (sum summary, why *problem.Problem, done bool) {
	packets := l.receiver.NewPackets(ctx, body)
	packets.Measure()
	sum, err := l.translate(body.Body, encodingProtobuf, packets, from)
	if err != nil || packets.Len() == 0 {
		packets.Drop()
		return summary{}, nil, false
	}
	id := l.receiver.ContentID(from, path, body.Body)
	accepted, deferred := l.receiver.Defer(body, packets, id, l.complete)
	if !deferred {
		packets.Drop()
		return summary{}, nil, false
	}
	defer accepted()
	if why := l.receiver.Accept(ctx, from, packets, id); why != nil {
		return sum, why, true
	}
	return l.counted(sum), nil, true
}

// complete writes the body of a deferred packet. It implements packet.Translate.
func (l *logs) complete(deferred, into *packet.Packet) {
	packets := record.Rewrite(into)
	t := l.translator()
	emitter := deferred.EmitterID.AppendDecoded(nil, deferred.Body)
	_, _ = t.translate(deferred.Origin, packets, emitter, deferred.Accepted) // the translation did not fail when it was measured
	l.translators.Put(t)
	packets.SealAs(deferred.PacketID.Raw(deferred.Body))
}

func (l *logs) translator() *translator {
	if t, ok := l.translators.Get().(*translator); ok {
		return t
	}
	return newTranslator()
}

func (l *logs) translate(body []byte, encoding encoding, into *record.Packets, from receiver.Sender) (summary, error) {
	if encoding == encodingJSON {
		// The protobuf is not longer than the JSON.
		lent, err := into.Lend(len(body))
		if err != nil {
			return summary{}, err
		}
		defer l.receiver.Release(lent)
		if body, err = otlp.AppendRequest(lent.Body, body); err != nil {
			return summary{}, err
		}
	}
	t := l.translator()
	if len(body) <= maxPooledBytes {
		defer l.translators.Put(t)
	}
	return t.translate(body, into, from.Client.AppendTo(nil), time.Now())
}

// untranslated refuses a request.
func (l *logs) untranslated(packets *record.Packets, err error) *problem.Problem {
	var unavailable record.UnavailableError
	if errors.As(err, &unavailable) {
		return l.receiver.RefuseUntranslated(packets, err)
	}
	packets.Drop()
	return l.receiver.Refuse(problem.Problem{Code: problem.Malformed, Detail: err.Error()})
}

// counted counts the rejected records of an accepted request.
func (l *logs) counted(sum summary) summary {
	if sum.rejected > 0 {
		code := problem.TooLarge
		if errors.Is(sum.why, otlp.ErrTooDeep) {
			code = problem.Malformed
		}
		l.receiver.Reject(code, sum.rejected)
	}
	return sum
}
