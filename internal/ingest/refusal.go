package ingest

import (
	"errors"
	"mime"
	"strings"

	"github.com/valyala/fasthttp"

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
	unknownBody bodyKind = iota
	singlePacket
	packetLines
)

// kindOf understands a Content-Type.
func kindOf(value []byte) bodyKind {
	switch string(value) { // without a copy
	case "", "application/json":
		return singlePacket
	case "application/x-ndjson":
		return packetLines
	default:
		return parameterizedType(string(value))
	}
}

// parameterizedType understands spellings such as
// "application/json; charset=utf-8".
func parameterizedType(value string) bodyKind {
	kind, parameters, err := mime.ParseMediaType(value)
	charset := parameters["charset"]
	if err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return unknownBody
	}
	switch kind {
	case "application/json":
		return singlePacket
	case "application/x-ndjson":
		return packetLines
	}
	return unknownBody
}

// Refuse answers a request on another path of the same listener with a problem,
// and counts it.
func (h *Handler) Refuse(ctx *fasthttp.RequestCtx, why problem.Problem) { h.refuse(ctx, why) }

// refuse answers with a problem and counts it.
func (h *Handler) refuse(ctx *fasthttp.RequestCtx, why problem.Problem) {
	problem.Write(ctx, h.counted(why))
}

// turnAway is refuse for requests of packets.
func (h *Handler) turnAway(to *reply, why problem.Problem) { to.refuse(h.counted(why)) }

// counted counts a refusal and completes it with when to come again. While the
// service shuts down it is no client's fault that its request is not here.
func (h *Handler) counted(why problem.Problem) problem.Problem {
	if why.Code == problem.SlowRequest && h.draining.Load() {
		why = *notNow(problem.Draining)
	}
	h.metrics.refuse(why.Code)
	if why.Code.Status() == fasthttp.StatusServiceUnavailable {
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
