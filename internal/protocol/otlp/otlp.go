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
	path          = "/v1/logs"
	protobuf      = "application/x-protobuf"
	jsonMediaType = "application/json"
	// maxPooledBytes bounds the requests whose translators are kept with their buffers.
	maxPooledBytes = 4 << 20
)

// HTTP is OTLP over HTTP. It may be used concurrently.
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
			Detail: "the Content-Type must be " + protobuf + " or " + jsonMediaType,
		}))
		return
	}
	ctx, cancel := receiver.WithRoom()
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

// logs is what HTTP and gRPC have in common. It may be used concurrently.
type logs struct {
	receiver    *receiver.Receiver
	translators sync.Pool
}

// accept has the records of a request accepted, which it releases.
func (l *logs) accept(ctx context.Context, from receiver.Sender, body *packet.Packet, encoding encoding) (summary, *problem.Problem) {
	packets := l.receiver.NewPackets(ctx)
	sum, err := l.translate(ctx, body.Body, encoding, packets, from)
	if err != nil || packets.Len() == 0 {
		l.receiver.Release(body)
		if err != nil {
			return sum, l.untranslated(packets, err)
		}
		packets.Drop()
		return l.counted(sum), nil
	}
	id := ""
	if sum.untimed {
		id = l.receiver.SequenceID()
	} else {
		id = l.receiver.ContentID(from, path, body.Body)
	}
	if encoding == encodingJSON { // what origins are in is released
		l.receiver.Release(body)
	} else {
		defer l.receiver.Share(body, packets)()
	}
	if why := l.receiver.Accept(ctx, from, packets, id); why != nil {
		return sum, why
	}
	return l.counted(sum), nil
}

func (l *logs) translate(ctx context.Context, body []byte, encoding encoding, into *record.Packets, from receiver.Sender) (summary, error) {
	if encoding == encodingJSON {
		// The protobuf is not longer than the JSON.
		lent, err := l.receiver.LendWithRoom(ctx, len(body))
		if err != nil {
			return summary{}, err
		}
		defer l.receiver.Release(lent)
		if body, err = otlp.AppendRequest(lent.Body, body); err != nil {
			return summary{}, err
		}
	}
	t, _ := l.translators.Get().(*translator)
	if t == nil {
		t = newTranslator()
	}
	if len(body) <= maxPooledBytes {
		defer l.translators.Put(t)
	}
	return t.translate(body, into, from.Client, time.Now())
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

// counted counts what is told of the records of an accepted request.
func (l *logs) counted(sum summary) summary {
	l.receiver.CountSkewed(sum.skewed)
	if sum.rejected > 0 {
		code := problem.TooLarge
		if errors.Is(sum.why, otlp.ErrTooDeep) {
			code = problem.Malformed
		}
		l.receiver.Reject(code, sum.rejected)
	}
	return sum
}
