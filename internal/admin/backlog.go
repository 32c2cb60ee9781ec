package admin

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// maxTop bounds the emitters of a backlog.
const maxTop = 1000

func (a *api) getBacklog(r *request) (*response, error) {
	top := r.number("top", 20, 0, maxTop)
	if r.query.err != nil {
		return nil, r.query.err
	}
	return &response{body: a.backlogNow(int(top))}, nil
}

// backlogNow returns the backlog with the emitters that have the most packets in it, and those that
// send the most.
func (a *api) backlogNow(top int) adminapi.Backlog {
	b := a.control.Distributor().Backlog(top)
	body := adminapi.Backlog{Total: volumeOf(b.Total), OldestAge: adminapi.Duration(b.OldestAge.Round(time.Millisecond)), ByEmitter: []adminapi.BacklogEmitter{}, Senders: []adminapi.Sender{}}
	if b.DrainTime >= 0 {
		body.DrainEstimate = new(adminapi.Duration(b.DrainTime.Round(time.Millisecond)))
	}
	add := func(place, analyzer string, v packet.Volume) {
		body.ByPlace = append(body.ByPlace, adminapi.BacklogPlace{Place: place, Analyzer: analyzer, Volume: volumeOf(v), Bytes: v.Bytes})
	}
	add("journal", "", b.Journal)
	add("router", "", b.Router)
	for _, one := range b.Analyzers {
		add("queue", one.ID, one.Queued)
		add("in_flight", one.ID, one.InFlight)
	}
	for _, one := range b.Emitters {
		body.ByEmitter = append(body.ByEmitter, adminapi.BacklogEmitter{
			Emitter: one.ID, Volume: adminapi.Volume{Packets: one.Packets, Messages: one.Messages}, ErrorMessages: one.MarginMessages,
		})
	}
	for _, one := range a.control.Distributor().Senders(top) {
		body.Senders = append(body.Senders, adminapi.Sender{Emitter: one.EmitterID, Share: one.Share})
	}
	return body
}
