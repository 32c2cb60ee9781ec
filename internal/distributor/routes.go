package distributor

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/ingest"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// route handles the requests of the ingest port.
func (d *Distributor) route(r *ingest.Request, to *ingest.Response) {
	switch r.Path {
	case "/ingest":
		d.handler.Handle(r, to)
	case "/health":
		d.read(r, to, d.health)
	case "/livez":
		d.read(r, to, func(to *ingest.Response) { answer(to, http.StatusOK, map[string]string{"status": "alive"}) })
	case "/readyz":
		d.read(r, to, d.ready)
	case "/metrics-json":
		d.read(r, to, d.totals)
	case "/ledger":
		d.read(r, to, d.balance)
	default:
		d.handler.Refuse(to, problem.Problem{
			Code:   problem.NotFound,
			Detail: "there are /ingest, /health, /livez, /readyz, /metrics-json and /ledger",
		}, "")
	}
}

// read handles GET and HEAD.
func (d *Distributor) read(r *ingest.Request, to *ingest.Response, answer func(*ingest.Response)) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		d.handler.Refuse(to, problem.Problem{Code: problem.MethodNotAllowed, Detail: "this path is read with GET"}, "GET, HEAD")
		return
	}
	answer(to)
}

func (d *Distributor) health(to *ingest.Response) {
	healthy := d.healthy()
	condition := d.watcher.current.Load()
	status, word := http.StatusOK, "healthy"
	if healthy == 0 {
		status, word = http.StatusServiceUnavailable, "unhealthy"
	}
	answer(to, status, struct {
		Status  string `json:"status"`
		Healthy int    `json:"healthy_analyzers"`
		Total   int    `json:"total_analyzers"`
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Time    string `json:"timestamp"`
	}{word, healthy, len(d.present()), condition.state.String(), condition.reason, now()})
}

func (d *Distributor) ready(to *ingest.Response) {
	if why := d.handler.Ready(); why != nil {
		to.Problem(*why)
		return
	}
	status := map[string]string{"status": "ready"}
	if condition := d.watcher.current.Load(); condition.state != stateNormal {
		status["detail"] = condition.reason
	}
	answer(to, http.StatusOK, status)
}

// totals handles /metrics-json.
func (d *Distributor) totals(to *ingest.Response) {
	status := d.Status()
	packets, messages, depths := make(map[string]int64), make(map[string]int64), make(map[string]int64)
	for _, a := range status.Analyzers {
		held := a.Held()
		packets[a.ID], messages[a.ID] = held.Packets, held.Messages
		depths[a.ID] = a.Queued.Packets + a.InFlight.Packets
	}
	answer(to, http.StatusOK, struct {
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
		RefusedEmitters   []refusedEmitter `json:"refused_emitters"`
		Time              string           `json:"timestamp"`
	}{
		status.Accepted.Packets, status.Accepted.Messages, packets, messages, depths,
		status.Delivered.Packets, status.Delivered.Messages, status.DeadLettered.Packets, status.Unaccounted,
		d.healthy(), len(d.present()), d.refusedEmitters(), now(),
	})
}

// refusedEmitter is an emitter with many recent refusals.
type refusedEmitter struct {
	EmitterID string       `json:"emitter_id"`
	Packets   int64        `json:"packets"`
	Code      problem.Code `json:"last_code"`
	Last      time.Time    `json:"last"`
}

func (d *Distributor) refusedEmitters() []refusedEmitter {
	const limit = 10
	list := []refusedEmitter{}
	for _, one := range d.handler.RefusedEmitters(limit) {
		list = append(list, refusedEmitter{one.EmitterID, one.Packets, one.Code, one.Last.UTC()})
	}
	return list
}

// term is one term of the ledger.
type term struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

func termOf(v packet.Volume) term { return term{v.Packets, v.Messages} }

// balance handles /ledger: accepted is the sum of the other terms. With a disk journal it
// includes undelivered packets of earlier runs.
func (d *Distributor) balance(to *ingest.Response) {
	status := d.Status()
	queued, inFlight := status.Waiting, packet.Volume{}
	for _, a := range status.Analyzers {
		queued, inFlight = queued.Plus(a.Queued), inFlight.Plus(a.InFlight)
	}
	answer(to, http.StatusOK, struct {
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

func answer(to *ingest.Response, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // does not happen: the values have basic types
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	to.JSON(status, body)
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }
