package admin

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/history"
)

const (
	// overviewInterval is the minimum time between two overviews, unless the configuration or the
	// events change. It is less than two intervals of snapshots, because snapshots come a little
	// early or late.
	overviewInterval = 2*history.Interval - history.Interval/2
	// overviewEmitters bounds the emitters with a backlog, and those with refusals.
	overviewEmitters = 10
)

// overviews has the latest overview, encoded once for all viewers. It may be used concurrently.
type overviews struct {
	mu       sync.Mutex // guards all below
	number   int64      // number of the latest overview, from 1
	text     []byte
	made     time.Time
	revision int64
	event    int64
}

// latestOverview returns the latest overview, or a new one if it is due, and its number. Without
// viewers no overview is made.
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
		panic(err) // a defect, which the guard reports
	}
	o.text, o.made, o.revision, o.event = text, now, revision, event
	o.number++
	return o.text, o.number
}

func (a *api) overviewNow(revision, event int64) adminapi.Overview {
	now := a.control.Distributor().Status()
	body := adminapi.Overview{Status: a.statusNow(now), Analyzers: a.analyzersNow(revision, now), Backlog: a.backlogNow(overviewEmitters), Refused: a.refusalsNow(overviewEmitters), LastEvent: event}
	if body.Status.Settings.Shared {
		cluster, _ := a.clusterNow()
		body.Cluster = &cluster
	}
	return body
}

// addOverview adds the latest overview to a stream that has an earlier one. It returns the number of
// the latest overview.
func (a *api) addOverview(s *stream, last int64) int64 {
	text, number := a.latestOverview()
	if number != last {
		s.add("overview", "", text)
	}
	return number
}
