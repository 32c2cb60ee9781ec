package admin

import (
	"slices"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/intake"
)

func (a *api) getRefusals(r *request) (*response, error) {
	top := int(r.number("top", 20, 0, maxTop))
	if r.query.err != nil {
		return nil, r.query.err
	}
	read := top
	if r.has("emitter") {
		read = maxTop
	}
	list := a.refusalsNow(read)
	if r.has("emitter") {
		list = slices.DeleteFunc(list, func(one adminapi.RefusedEmitter) bool { return one.Emitter != r.text("emitter") })
	}
	return &response{body: adminapi.Refusals{Emitters: list[:min(top, len(list))]}}, nil
}

// refusalsNow returns the emitters with the most refused packets lately.
func (a *api) refusalsNow(top int) []adminapi.RefusedEmitter {
	list := []adminapi.RefusedEmitter{}
	for _, one := range a.control.Distributor().RefusedEmitters(top) {
		list = append(list, refusedEmitterOf(one))
	}
	return list
}

func refusedEmitterOf(e intake.RefusedEmitter) adminapi.RefusedEmitter {
	shown := adminapi.RefusedEmitter{Emitter: e.EmitterID, Packets: e.Packets, ErrorPackets: e.Packets, ByReason: []adminapi.RefusedPackets{}, Last: e.Last.UTC()}
	for _, one := range e.Reasons {
		shown.ByReason = append(shown.ByReason, adminapi.RefusedPackets(one))
		shown.ErrorPackets -= one.Packets
	}
	return shown
}
