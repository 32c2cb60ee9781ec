package ingest

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
)

// listedRefusals bounds the list of refused lines in one answer; the number of
// all is told beside it.
const listedRefusals = 1000

// lines answers a request of many packets, one a line.
func (h *Handler) lines(ctx *fasthttp.RequestCtx) {
	body, ok := h.receive(ctx)
	if !ok {
		return
	}
	defer h.bodies.drop(body)
	var batch lineBatch
	h.checkLines(ctx, body.Body, &batch)
	taken, err := h.deps.Journal.Put(batch.packets)
	for i, p := range batch.packets[taken:] {
		h.refuseLine(&batch, batch.numbers[taken+i], notStored(err, p))
		p.Release()
	}
	h.bodies.free(batch.held)
	h.answerLines(ctx, taken, &batch)
}

// lineBatch is what became of a request's lines.
type lineBatch struct {
	packets []*packet.Packet
	numbers []int // of the lines, one for each packet
	held    int64 // bytes of memory of the packets

	refused  int
	list     []byte // JSON: the refused lines, separated by commas
	listed   int
	first    problem.Code // of the first refused line
	oneCode  bool         // all refused lines have that code
	roomless problem.Code // a code that says "not now", when there was one
}

func (h *Handler) checkLines(ctx *fasthttp.RequestCtx, body []byte, batch *lineBatch) {
	lines := packet.LinesOf(body)
	for {
		line, number, ok := lines.Next()
		if !ok {
			return
		}
		info, err := packet.Check(line, h.config.MaxPacketMessages)
		if err != nil {
			h.refuseLine(batch, number, refusalOf(err, line))
			continue
		}
		p, fault := h.bodies.lend(len(line))
		if fault != nil {
			fault.PacketID = string(info.PacketID.AppendDecoded(nil, line))
			h.refuseLine(batch, number, *fault)
			continue
		}
		p.Body, p.Info = append(p.Body, line...), info
		stamp(ctx, p)
		batch.held += p.Footprint()
		batch.packets = append(batch.packets, p)
		batch.numbers = append(batch.numbers, number)
	}
}

func (h *Handler) refuseLine(batch *lineBatch, number int, why problem.Problem) {
	h.metrics.refused[why.Code].Inc()
	if batch.refused == 0 {
		batch.first, batch.oneCode = why.Code, true
	}
	batch.oneCode = batch.oneCode && why.Code == batch.first
	if why.Code.Status() >= fasthttp.StatusInternalServerError {
		batch.roomless = why.Code
	}
	batch.refused++
	if batch.listed == listedRefusals {
		return
	}
	if batch.listed > 0 {
		batch.list = append(batch.list, ',')
	}
	batch.listed++
	batch.list = append(batch.list, `{"line":`...)
	batch.list = strconv.AppendInt(batch.list, int64(number), 10)
	if why.PacketID != "" {
		batch.list = append(batch.list, `,"packet_id":`...)
		batch.list = problem.AppendQuoted(batch.list, why.PacketID)
	}
	batch.list = append(batch.list, `,"code":"`...)
	batch.list = append(batch.list, why.Code...)
	batch.list = append(batch.list, `","detail":`...)
	batch.list = problem.AppendQuoted(batch.list, why.Detail)
	batch.list = append(batch.list, '}')
}

func (h *Handler) answerLines(ctx *fasthttp.RequestCtx, accepted int, batch *lineBatch) {
	if accepted == 0 {
		h.refuseAllLines(ctx, batch)
		return
	}
	accept(ctx)
	status := "accepted"
	if batch.refused > 0 {
		status = "partial"
		ctx.Response.SetStatusCode(fasthttp.StatusMultiStatus)
		h.setRetryAfter(ctx, batch.roomless)
	}
	body := append(ctx.Response.Body(), `{"status":"`...)
	body = append(body, status...)
	body = append(body, `","accepted":`...)
	body = strconv.AppendInt(body, int64(accepted), 10)
	if batch.refused > 0 {
		body = batch.appendList(body)
	}
	ctx.Response.SetBodyRaw(append(body, '}'))
}

// refuseAllLines answers when no line was taken.
func (h *Handler) refuseAllLines(ctx *fasthttp.RequestCtx, batch *lineBatch) {
	why := problem.Problem{Code: problem.Malformed, Detail: "no line of the body is a packet that can be taken; each is listed with its reason"}
	switch {
	case batch.refused == 0:
		why.Detail = "the body has no lines: send one packet a line"
		h.metrics.refused[why.Code].Inc()
	case batch.roomless != "":
		why.Code, why.Detail = batch.roomless, details[batch.roomless]
	case batch.oneCode && batch.first.Status() == fasthttp.StatusBadRequest:
		why.Code = batch.first
	}
	h.setRetryAfter(ctx, batch.roomless)
	problem.Write(ctx, why)
	if batch.refused > 0 {
		document := ctx.Response.Body()
		document = batch.appendList(document[:len(document)-1])
		ctx.Response.SetBodyRaw(append(document, '}'))
	}
}

// appendList appends the members that tell what was refused.
func (b *lineBatch) appendList(dst []byte) []byte {
	dst = append(dst, `,"refused":[`...)
	dst = append(dst, b.list...)
	dst = append(dst, ']')
	if b.listed < b.refused {
		dst = append(dst, `,"refused_total":`...)
		dst = strconv.AppendInt(dst, int64(b.refused), 10)
	}
	return dst
}

func (h *Handler) setRetryAfter(ctx *fasthttp.RequestCtx, code problem.Code) {
	if code != "" {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(h.retryAfter(code)))
	}
}

// retryAfter returns the seconds to name, at least 1.
func (h *Handler) retryAfter(code problem.Code) int {
	const most = 60
	return int(min(max((h.deps.RetryAfter(code)+time.Second-1)/time.Second, 1), most))
}
