package ingest

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"logstreamer/internal/journal"
	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
)

// details tell people what a refusal for lack of something means.
var details = map[problem.Code]string{
	problem.Draining:          "the distributor is shutting down; send to another one or try again",
	problem.NoAnalyzer:        "no analyzer is healthy, so nothing can be accepted",
	problem.Overloaded:        "the queues are full; nothing was accepted",
	problem.JournalUnwritable: "the packet could not be stored; nothing was accepted",
}

// The kinds of bodies.
type bodyKind int

const (
	unknownBody bodyKind = iota
	singlePacket
	packetLines
)

func contentType(ctx *fasthttp.RequestCtx) bodyKind {
	switch value := string(ctx.Request.Header.ContentType()); value {
	case "", "application/json":
		return singlePacket
	case "application/x-ndjson":
		return packetLines
	default:
		return parameterizedType(value)
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

// refuse answers with a problem that concerns that many packets.
func (h *Handler) refuse(ctx *fasthttp.RequestCtx, why problem.Problem, packets int) {
	h.metrics.refused[why.Code].Add(float64(packets))
	if why.Code.Status() == fasthttp.StatusServiceUnavailable {
		why.RetryAfter = h.retryAfter(why.Code)
	}
	problem.Write(ctx, why)
	h.leaveBody(ctx)
}

// leaveBody deals with a body that was not read. A small one is read past, so
// that the connection can be used again. For a large one the connection is
// given up: the answer goes out at once, and what still arrives is discarded
// for a while, so that closing does not destroy the answer on its way.
func (h *Handler) leaveBody(ctx *fasthttp.RequestCtx) {
	const (
		small   = 256 << 10
		unknown = -1 // chunked; all other negative lengths are no body
	)
	body, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	switch {
	case body == nil || length < unknown:
	case length == unknown || length > small:
		giveUp(ctx)
	default:
		if _, err := io.Copy(io.Discard, body); err != nil {
			ctx.SetConnectionClose()
		}
	}
}

// giveUp answers on a connection that is then closed gently. The answer is
// written here since the server would close at once what is to be closed.
func giveUp(ctx *fasthttp.RequestCtx) {
	answer := new(fasthttp.Response)
	ctx.Response.CopyTo(answer)
	answer.SetConnectionClose()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		writer := bufio.NewWriter(conn)
		if answer.Write(writer) == nil && writer.Flush() == nil {
			linger(conn)
		}
	})
}

// linger discards what a client still sends, within limits.
func linger(conn net.Conn) {
	const (
		longest = 2 * time.Second
		most    = 64 << 20
	)
	_ = conn.SetReadDeadline(time.Now().Add(longest))
	_, _ = io.CopyN(io.Discard, conn, most)
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

// Refuse answers a request on another path of the same listener with a problem,
// and counts it.
func (h *Handler) Refuse(ctx *fasthttp.RequestCtx, why problem.Problem) { h.refuse(ctx, why, 1) }
