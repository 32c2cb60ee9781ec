package distributor

import (
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// route answers all requests of the ingest port.
func (d *Distributor) route(ctx *fasthttp.RequestCtx) {
	switch string(pathOf(ctx)) {
	case "/ingest":
		d.handler.Handle(ctx)
	case "/health":
		d.read(ctx, d.health)
	case "/livez":
		d.read(ctx, func(ctx *fasthttp.RequestCtx) { answer(ctx, fasthttp.StatusOK, map[string]string{"status": "alive"}) })
	case "/readyz":
		d.read(ctx, d.ready)
	case "/metrics-json":
		d.read(ctx, d.totals)
	case "/ledger":
		d.read(ctx, d.balance)
	default:
		d.handler.Refuse(ctx, problem.Problem{
			Code:   problem.NotFound,
			Detail: "there are /ingest, /health, /livez, /readyz, /metrics-json and /ledger",
		})
	}
}

// pathOf returns the path. The one that nearly all requests ask for is known as
// it stands and need not be parsed.
func pathOf(ctx *fasthttp.RequestCtx) []byte {
	if uri := ctx.RequestURI(); string(uri) == "/ingest" {
		return uri
	}
	return ctx.Path()
}

// read answers GET and HEAD.
func (d *Distributor) read(ctx *fasthttp.RequestCtx, answer fasthttp.RequestHandler) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		d.handler.Refuse(ctx, problem.Problem{Code: problem.MethodNotAllowed, Detail: "this path is read with GET"})
		return
	}
	answer(ctx)
}

func (d *Distributor) health(ctx *fasthttp.RequestCtx) {
	healthy := d.healthy()
	condition := d.watcher.now.Load()
	status, word := fasthttp.StatusOK, "healthy"
	if healthy == 0 {
		status, word = fasthttp.StatusServiceUnavailable, "unhealthy"
	}
	answer(ctx, status, struct {
		Status  string `json:"status"`
		Healthy int    `json:"healthy_analyzers"`
		Total   int    `json:"total_analyzers"`
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Time    string `json:"timestamp"`
	}{word, healthy, len(d.analyzers), condition.state.String(), condition.reason, now()})
}

func (d *Distributor) ready(ctx *fasthttp.RequestCtx) {
	if why := d.handler.Ready(); why != nil {
		problem.Write(ctx, *why)
		return
	}
	status := map[string]string{"status": "ready"}
	if condition := d.watcher.now.Load(); condition.state != stateNormal {
		status["detail"] = condition.reason
	}
	answer(ctx, fasthttp.StatusOK, status)
}

// totals answers /metrics-json.
func (d *Distributor) totals(ctx *fasthttp.RequestCtx) {
	status := d.Status()
	packets, messages, depths := make(map[string]int64), make(map[string]int64), make(map[string]int64)
	for _, a := range status.Analyzers {
		held := a.Held()
		packets[a.ID], messages[a.ID] = held.Packets, held.Messages
		depths[a.ID] = a.Queued.Packets + a.InFlight.Packets
	}
	answer(ctx, fasthttp.StatusOK, struct {
		Packets           int64            `json:"total_packets"`
		Messages          int64            `json:"total_messages"`
		PacketsBy         map[string]int64 `json:"packets_by_analyzer"`
		MessagesBy        map[string]int64 `json:"messages_by_analyzer"`
		DepthBy           map[string]int64 `json:"queue_depth_by_analyzer"`
		DeliveredPackets  int64            `json:"delivered_packets"`
		DeliveredMessages int64            `json:"delivered_messages"`
		DeadLettered      int64            `json:"dead_lettered_packets"`
		Unaccounted       int64            `json:"unaccounted_messages"`
		Healthy           int              `json:"healthy_analyzers"`
		Total             int              `json:"total_analyzers"`
		Time              string           `json:"timestamp"`
	}{
		status.Accepted.Packets, status.Accepted.Messages, packets, messages, depths,
		status.Delivered.Packets, status.Delivered.Messages, status.DeadLettered.Packets, status.Unaccounted,
		d.healthy(), len(d.analyzers), now(),
	})
}

// term is one term of the ledger.
type term struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

func termOf(v packet.Volume) term { return term{v.Packets, v.Messages} }

// balance answers /ledger: accepted is the sum of the other terms. With a disk
// journal accepted counts what an earlier run left undelivered, too.
func (d *Distributor) balance(ctx *fasthttp.RequestCtx) {
	status := d.Status()
	queued, inFlight := status.Waiting, packet.Volume{}
	for _, a := range status.Analyzers {
		queued, inFlight = queued.Plus(a.Queued), inFlight.Plus(a.InFlight)
	}
	answer(ctx, fasthttp.StatusOK, struct {
		Accepted     term   `json:"accepted"`
		Delivered    term   `json:"delivered"`
		Queued       term   `json:"queued"`
		InFlight     term   `json:"in_flight"`
		DeadLettered term   `json:"dead_lettered"`
		Damaged      term   `json:"damaged"`
		Unaccounted  int64  `json:"unaccounted_messages"`
		Time         string `json:"timestamp"`
	}{
		termOf(status.Accepted), termOf(status.Delivered), termOf(queued), termOf(inFlight),
		termOf(status.DeadLettered), termOf(status.Damaged), status.Unaccounted, now(),
	})
}

func answer(ctx *fasthttp.RequestCtx, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // cannot be: the values are plain
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }
