package admin

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// maxTop bounds the emitters of a backlog.
const maxTop = 1000

// backlogPlace is what one place holds.
type backlogPlace struct {
	Place    string `json:"place"`
	Analyzer string `json:"analyzer,omitempty"`
	Packets  int64  `json:"packets"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// backlogEmitter is an estimate of what one emitter has in the backlog.
type backlogEmitter struct {
	Emitter  string `json:"emitter"`
	Packets  int64  `json:"packets"`
	Messages int64  `json:"messages"`
	Error    int64  `json:"error_messages"`
}

// backlog is the answer about packets that are accepted and not yet settled.
type backlog struct {
	Total         volume           `json:"total"`
	OldestAge     duration         `json:"oldest_age"`
	DrainEstimate *duration        `json:"drain_estimate"`
	ByPlace       []backlogPlace   `json:"by_place"`
	ByEmitter     []backlogEmitter `json:"by_emitter"`
}

func (a *api) getBacklog(r *request) (*answer, error) {
	top := r.number("top", 20, 0, maxTop)
	if r.query.err != nil {
		return nil, r.query.err
	}
	return &answer{body: a.backlogNow(int(top))}, nil
}

// backlogNow returns the backlog with the emitters of which most waits.
func (a *api) backlogNow(top int) backlog {
	b := a.control.Distributor().Backlog(top)
	body := backlog{Total: volumeOf(b.Total), OldestAge: duration(b.OldestAge.Round(time.Millisecond)), ByEmitter: []backlogEmitter{}}
	if b.DrainTime >= 0 {
		body.DrainEstimate = new(duration(b.DrainTime.Round(time.Millisecond)))
	}
	add := func(place, analyzer string, v packet.Volume) {
		body.ByPlace = append(body.ByPlace, backlogPlace{place, analyzer, v.Packets, v.Messages, v.Bytes})
	}
	add("journal", "", b.Journal)
	add("router", "", b.Router)
	for _, one := range b.Analyzers {
		add("queue", one.ID, one.Queued)
		add("in_flight", one.ID, one.InFlight)
	}
	for _, one := range b.Emitters {
		body.ByEmitter = append(body.ByEmitter, backlogEmitter{one.ID, one.Packets, one.Messages, one.MarginMessages})
	}
	return body
}
