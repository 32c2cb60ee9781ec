package admin

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/history"
)

const (
	// overviewInterval is the time between two overviews, unless the configuration or the
	// events change: two snapshots, which come a little early or late.
	overviewInterval = 2*history.Interval - history.Interval/2
	// overviewEmitters are those of its backlog, and of its refusals.
	overviewEmitters = 10
)

// overview is what viewers show besides the snapshots.
type overview struct {
	Status    status           `json:"status"`
	Analyzers analyzerList     `json:"analyzers"`
	Backlog   backlog          `json:"backlog"`
	Refused   []refusedEmitter `json:"refused_emitters"`
	Cluster   *clusterState    `json:"cluster,omitempty"`
	LastEvent int64            `json:"last_event"`
}

// overviews has the last overview, encoded once for all viewers. It may be used concurrently.
type overviews struct {
	mu       sync.Mutex // guards all below
	number   int64      // of the last one, from 1
	text     []byte
	made     time.Time
	revision int64
	event    int64
}

// latestOverview returns the last overview, or a new one if it is due, and its number. Without
// viewers none is made.
func (a *api) latestOverview() (text []byte, number int64) {
	o := &a.overviews
	o.mu.Lock()
	defer o.mu.Unlock()
	revision, event, now := a.control.Revision(), a.control.Events().Last(), time.Now()
	if o.number > 0 && revision == o.revision && event == o.event && now.Sub(o.made) < overviewInterval {
		return o.text, o.number
	}
	text, err := json.Marshal(a.overviewNow(revision, event))
	if err != nil {
		panic(err) // a defect: the guard reports it
	}
	o.text, o.made, o.revision, o.event = text, now, revision, event
	o.number++
	return o.text, o.number
}

func (a *api) overviewNow(revision, event int64) overview {
	now := a.control.Distributor().Status()
	body := overview{Status: a.statusNow(now), Analyzers: a.analyzersNow(revision, now), Backlog: a.backlogNow(overviewEmitters), Refused: a.refusalsNow(overviewEmitters), LastEvent: event}
	if body.Status.Settings.Shared {
		cluster, _ := a.clusterNow()
		body.Cluster = &cluster
	}
	return body
}

// sendOverview sends the last overview unless it was the last one that the stream got. It returns
// the number of the last one.
func (a *api) sendOverview(s *stream, last int64) int64 {
	text, number := a.latestOverview()
	if number != last {
		s.sendText("overview", "", text)
	}
	return number
}
