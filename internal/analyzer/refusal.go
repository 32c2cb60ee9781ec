package analyzer

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// errAborted aborts the processing of a packet at the stop deadline.
var errAborted = errors.New("the analyzer is stopping and did not process the packet")

func (a *Analyzer) refuse(ctx *fasthttp.RequestCtx, p problem.Problem) {
	a.count(p)
	writeProblem(ctx, p)
}

// writeProblem sets the response to a problem, and keeps headers that are already set, such as
// Allow.
func writeProblem(ctx *fasthttp.RequestCtx, p problem.Problem) {
	ctx.Response.SetBody(p.AppendJSON(nil))
	ctx.Response.SetStatusCode(p.HTTPStatus())
	ctx.Response.Header.SetContentType(problem.ContentType)
	if p.RetryAfter > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(p.RetryAfter))
	}
}

// count counts a refused packet, and logs the first one of its code.
func (a *Analyzer) count(p problem.Problem) {
	if a.counters.refuse(p.Code) {
		a.logger.Warn("refused a packet; further ones are only counted",
			"code", string(p.Code), "detail", p.Detail, "packet_id", p.PacketID)
	}
}

// problemOf converts an error of process to the response.
func problemOf(err error, body []byte) problem.Problem {
	var refusal *packet.Refusal
	if errors.As(err, &refusal) {
		return problem.Problem{
			Code:     problem.Code(refusal.Code),
			Detail:   refusal.Detail,
			PacketID: string(refusal.PacketID.AppendDecoded(nil, body)),
		}
	}
	return problem.Problem{Code: problem.Draining, Detail: err.Error(), RetryAfter: 1}
}

func tooLarge(maxBodyBytes int) problem.Problem {
	return problem.Problem{
		Code:   problem.TooLarge,
		Detail: fmt.Sprintf("the body has more than %d bytes when decompressed", maxBodyBytes),
	}
}
