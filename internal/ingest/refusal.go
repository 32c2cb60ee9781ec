package ingest

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// details tell people what a refusal for lack of something means.
var details = map[problem.Code]string{
	problem.Draining:          "the distributor is shutting down; send to another one or try again",
	problem.NoAnalyzer:        "no analyzer is healthy, so nothing can be accepted",
	problem.Overloaded:        "the queues are full, so there is no room for it now",
	problem.JournalUnwritable: "it could not be stored, so it was not accepted",
	problem.RateLimited:       "this emitter_id sends more messages per second than it may",
	problem.Shed:              "the room that is left is kept for packets of higher levels",
}

// The kinds of bodies.
type bodyKind int

const (
	singlePacket bodyKind = iota
	packetLines
)

const linesMediaType = "application/x-ndjson"

// kindOf understands a Content-Type. All but that of NDJSON, in any case and with
// any parameters, mean a single packet, and so does none.
func kindOf(value []byte) bodyKind {
	if len(value) < len(linesMediaType) || !http1.Is(value[:len(linesMediaType)], linesMediaType) {
		return singlePacket
	}
	if rest := bytes.TrimLeft(value[len(linesMediaType):], " \t"); len(rest) == 0 || rest[0] == ';' {
		return packetLines
	}
	return singlePacket
}

// Refuse answers a request on another path of the same listener with a problem,
// and counts it. Methods, unless empty, are those that the path allows.
func (h *Handler) Refuse(to *Response, why problem.Problem, methods string) {
	h.refuse(to, why)
	to.allow = methods
}

// refuse answers with a problem and counts it.
func (h *Handler) refuse(to *Response, why problem.Problem) { to.refuse(h.counted(why)) }

// counted counts a refusal and completes it with when to come again. While the
// service shuts down it is no client's fault that its request is not here.
func (h *Handler) counted(why problem.Problem) problem.Problem {
	if why.Code == problem.SlowRequest && h.draining.Load() {
		why = *notNow(problem.Draining)
	}
	h.metrics.refuse(why.Code)
	if why.Code.Status() == http.StatusServiceUnavailable {
		why.RetryAfter = h.retryAfter(why.Code)
	}
	return why
}

// notNow is a refusal for lack of something.
func notNow(code problem.Code) *problem.Problem {
	return &problem.Problem{Code: code, Detail: details[code]}
}

// codeOf translates the journal's errors.
func codeOf(err error) problem.Code {
	switch {
	case errors.Is(err, journal.ErrClosed):
		return problem.Draining
	case errors.Is(err, journal.ErrUnwritable):
		return problem.JournalUnwritable
	default:
		return problem.Overloaded
	}
}

// refusalOf translates the checker's errors.
func refusalOf(err error, body []byte) problem.Problem {
	var refusal *packet.Refusal
	if !errors.As(err, &refusal) {
		return problem.Problem{Code: problem.Malformed, Detail: err.Error()}
	}
	return problem.Problem{
		Code:     problem.Code(refusal.Code),
		Detail:   refusal.Detail,
		PacketID: string(refusal.PacketID.AppendDecoded(nil, body)),
	}
}
