package analyzer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// maxLines bounds the packets of a request, and so the list of refused ones.
const maxLines = 10_000

// ingest handles one packet, or several as NDJSON.
func (a *Analyzer) ingest(ctx *fasthttp.RequestCtx) {
	switch mediaType(ctx.Request.Header.ContentType()) {
	case typeJSON, "":
		a.metrics.single.Inc()
		a.withBody(ctx, (*Analyzer).ingestPacket)
	case typeNDJSON:
		a.metrics.ndjson.Inc()
		a.withBody(ctx, (*Analyzer).ingestLines)
	default:
		ctx.Response.Header.Set("Accept-Post", typeJSON+", "+typeNDJSON)
		a.refuse(ctx, problem.Problem{
			Code:   problem.UnsupportedMediaType,
			Detail: "the Content-Type must be " + typeJSON + " or " + typeNDJSON,
		})
	}
}

func (a *Analyzer) withBody(ctx *fasthttp.RequestCtx, each func(*Analyzer, *fasthttp.RequestCtx, *workspace, []byte)) {
	w := a.workspaces.Get().(*workspace)
	if body, refusal := w.decode(ctx); refusal != nil {
		a.refuse(ctx, *refusal)
	} else {
		each(a, ctx, w, body)
	}
	w.reset()
	a.workspaces.Put(w)
}

// mediaType returns the type without parameters, in lower case.
func mediaType(contentType []byte) string {
	name, _, _ := bytes.Cut(contentType, []byte{';'})
	name = bytes.TrimSpace(name)
	switch {
	case len(name) == 0:
		return ""
	case bytes.EqualFold(name, []byte(typeJSON)):
		return typeJSON
	case bytes.EqualFold(name, []byte(typeNDJSON)):
		return typeNDJSON
	default:
		return "unknown"
	}
}

func (a *Analyzer) ingestPacket(ctx *fasthttp.RequestCtx, w *workspace, body []byte) {
	result, err := a.process(w, body, ctx.Request.Header.Peek("Traceparent"))
	if err != nil {
		a.refuse(ctx, problemOf(err, body))
		return
	}
	reply := append(w.reply[:0], `{"status":"processed","packet_id":"`...)
	reply = append(reply, result.packetID.Raw(body)...)
	reply = append(reply, '"')
	if result.duplicate {
		reply = append(reply, `,"duplicate":true`...)
	}
	w.reply = a.answer(ctx, http.StatusOK, reply)
}

// ingestLines processes each line independently. "processed" counts new
// packets, "accepted" also duplicates.
func (a *Analyzer) ingestLines(ctx *fasthttp.RequestCtx, w *workspace, body []byte) {
	if bytes.Count(body, []byte{'\n'}) > maxLines {
		a.refuse(ctx, problem.Problem{
			Code:   problem.TooLarge,
			Detail: fmt.Sprintf("a request may have at most %d lines", maxLines),
		})
		return
	}
	var processed, duplicates int64
	refused := w.refused[:0]
	traceOf, stop := traces(&ctx.Request)
	defer stop()
	lines := packet.LinesOf(body)
	for line, number, ok := lines.Next(); ok; line, number, ok = lines.Next() {
		result, err := a.process(w, line, traceOf(number))
		switch {
		case errors.Is(err, errAborted):
			a.refuse(ctx, problemOf(err, line))
			return
		case err != nil:
			refused = a.appendRefused(refused, number, problemOf(err, line))
		case result.duplicate:
			duplicates++
		default:
			processed++
		}
	}
	w.refused = refused
	switch {
	case len(refused) > 0:
		reply := appendCount(append(w.reply[:0], `{"status":"partial"`...), "accepted", processed+duplicates)
		reply = appendCount(reply, "duplicates", duplicates)
		reply = append(append(append(reply, `,"refused":[`...), refused...), ']')
		w.reply = a.answer(ctx, http.StatusMultiStatus, reply)
	case processed+duplicates == 0:
		a.refuse(ctx, problem.Problem{Code: problem.Malformed, Detail: "the body has no packets"})
	default:
		reply := appendCount(append(w.reply[:0], `{"status":"processed"`...), "processed", processed)
		w.reply = a.answer(ctx, http.StatusOK, appendCount(reply, "duplicates", duplicates))
	}
}

// appendRefused counts a refused line and appends its list entry.
func (a *Analyzer) appendRefused(list []byte, line int, p problem.Problem) []byte {
	a.count(p)
	if len(list) > 0 {
		list = append(list, ',')
	}
	list = append(list, `{"line":`...)
	list = strconv.AppendInt(list, int64(line), 10)
	if p.PacketID != "" {
		list = append(list, `,"packet_id":`...)
		list = problem.AppendQuoted(list, p.PacketID)
	}
	list = append(list, `,"code":`...)
	list = problem.AppendQuoted(list, string(p.Code))
	list = append(list, `,"detail":`...)
	list = problem.AppendQuoted(list, p.Detail)
	return append(list, '}')
}

func appendCount(reply []byte, name string, count int64) []byte {
	reply = append(append(append(reply, `,"`...), name...), `":`...)
	return strconv.AppendInt(reply, count, 10)
}

// answer appends the common suffix, writes the reply and returns its buffer.
func (a *Analyzer) answer(ctx *fasthttp.RequestCtx, status int, reply []byte) []byte {
	reply = append(reply, a.replySuffix...)
	ctx.Response.SetBody(reply)
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType(typeJSON)
	return reply
}

func replySuffixFor(id string) []byte {
	end := problem.AppendQuoted([]byte(`,"analyzer":`), id)
	return append(end, '}')
}
