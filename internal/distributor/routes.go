package distributor

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
	"github.com/logstreamer/logstreamer/internal/server"
)

// route handles the requests of the ingest port.
func (d *Distributor) route(r *server.Request, to *http1.Response) {
	switch r.Path {
	case native.Path:
		d.protocol.Handle(r, to)
	case "/health":
		d.read(r, to, d.health)
	case "/livez":
		d.read(r, to, func(to *http1.Response) { answer(to, http.StatusOK, map[string]string{"status": "alive"}) })
	case "/readyz":
		d.read(r, to, d.ready)
	case "/metrics-json":
		d.read(r, to, d.totals)
	case "/ledger":
		d.read(r, to, d.balance)
	case "*":
		d.options(to)
	default:
		d.routeInput(r, to)
	}
}

// options handles OPTIONS *, which is about the server as a whole (RFC 9110 section 9.3.7).
func (d *Distributor) options(to *http1.Response) {
	to.Status, to.Allow = http.StatusNoContent, "GET, HEAD, POST, OPTIONS"
}

// routeInput handles the requests of inputs on the ingest port.
func (d *Distributor) routeInput(r *server.Request, to *http1.Response) {
	if r.Method == http.MethodConnect {
		d.protocol.Refuse(to, problem.Problem{Code: problem.MethodNotAllowed, Detail: "this is no proxy"}, "GET, HEAD, POST")
		return
	}
	for _, input := range d.inputs.onIngest {
		if input.Handle(r, to) {
			return
		}
	}
	d.protocol.Refuse(to, problem.Problem{
		Code:   problem.NotFound,
		Detail: "there are /ingest, /health, /livez, /readyz, /metrics-json and /ledger, and the paths of INPUTS",
	}, "")
}

// read handles GET and HEAD.
func (d *Distributor) read(r *server.Request, to *http1.Response, answer func(*http1.Response)) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		d.protocol.Refuse(to, problem.Problem{Code: problem.MethodNotAllowed, Detail: "this path is read with GET"}, "GET, HEAD")
		return
	}
	answer(to)
}

func (d *Distributor) health(to *http1.Response) {
	healthy := d.eligible()
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
	to.AddField(d.via())
}

func (d *Distributor) ready(to *http1.Response) {
	if why := d.protocol.Ready(); why != nil {
		problem.Respond(to, *why)
		return
	}
	status := map[string]string{"status": "ready"}
	if condition := d.watcher.current.Load(); condition.state != stateNormal {
		status["detail"] = condition.reason
	}
	answer(to, http.StatusOK, status)
}

// totals handles /metrics-json.
func (d *Distributor) totals(to *http1.Response) {
	status := d.Status()
	packets, messages, depths := make(map[string]int64), make(map[string]int64), make(map[string]int64)
	for _, a := range status.Analyzers {
		held := a.Held()
		packets[a.ID], messages[a.ID] = held.Packets, held.Messages
		depths[a.ID] = a.Queued.Packets + a.InFlight.Packets
	}
	for _, former := range status.Former { // so that the sums include all packets
		held := former.Held()
		packets[former.ID], messages[former.ID] = held.Packets, held.Messages
	}
	for _, a := range status.Leaving {
		depths[a.ID] += a.Queued.Packets + a.InFlight.Packets
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
		d.eligible(), len(d.present()), d.refusedEmitters(), now(),
	})
}

// refusedEmitter is an emitter with many recent refusals.
type refusedEmitter struct {
	EmitterID string    `json:"emitter_id"`
	Packets   int64     `json:"packets"`
	Reason    string    `json:"last_code"`
	Last      time.Time `json:"last"`
}

// RefusedEmitters returns up to n emitters with the most refused packets lately.
func (d *Distributor) RefusedEmitters(n int) []intake.RefusedEmitter {
	return d.intake.RefusedEmitters(n)
}

func (d *Distributor) refusedEmitters() []refusedEmitter {
	const limit = 10
	list := []refusedEmitter{}
	for _, one := range d.RefusedEmitters(limit) {
		list = append(list, refusedEmitter{one.EmitterID, one.Packets, one.Reason, one.Last.UTC()})
	}
	return list
}

// balance handles /ledger: accepted is the sum of the other terms. With a disk journal it
// includes undelivered packets of earlier runs. With a shared journal received is the sum.
func (d *Distributor) balance(to *http1.Response) {
	status := d.Status()
	var received, returned *Term
	if d.JournalStatus().Shared {
		received, returned = new(termOf(status.Received)), new(termOf(status.Returned))
	}
	answer(to, http.StatusOK, struct {
		Accepted     Term   `json:"accepted"`
		Delivered    Term   `json:"delivered"`
		Queued       Term   `json:"queued"`
		InFlight     Term   `json:"in_flight"`
		DeadLettered Term   `json:"dead_lettered"`
		Damaged      Term   `json:"damaged"`
		Received     *Term  `json:"received,omitempty"`
		Returned     *Term  `json:"returned,omitempty"`
		Unaccounted  int64  `json:"unaccounted_messages"`
		Time         string `json:"timestamp"`
	}{
		termOf(status.Accepted), termOf(status.Delivered), termOf(status.Waiting.Plus(status.Queued)), termOf(status.InFlight),
		termOf(status.DeadLettered), termOf(status.Damaged), received, returned, status.Unaccounted, now(),
	})
}

func answer(to *http1.Response, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // impossible: the values have basic types
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	to.SetJSON(status, body)
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }
