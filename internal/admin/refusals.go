package admin

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/intake"
)

// refusedEmitter is an emitter of which packets were refused lately.
type refusedEmitter struct {
	Emitter  string           `json:"emitter"`
	Packets  int64            `json:"packets"`
	Error    int64            `json:"error_packets"`
	ByReason []refusedPackets `json:"by_reason"`
	Last     time.Time        `json:"last"`
}

type refusedPackets struct {
	Reason  string `json:"reason"`
	Packets int64  `json:"packets"`
}

func (a *api) getRefusals(r *request) (*answer, error) {
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
		list = slices.DeleteFunc(list, func(one refusedEmitter) bool { return one.Emitter != r.text("emitter") })
	}
	return &answer{body: map[string][]refusedEmitter{"emitters": list[:min(top, len(list))]}}, nil
}

// refusalsNow returns the emitters of which most packets were refused lately.
func (a *api) refusalsNow(top int) []refusedEmitter {
	list := []refusedEmitter{}
	for _, one := range a.control.Distributor().RefusedEmitters(top) {
		list = append(list, refusedEmitterOf(one))
	}
	return list
}

func refusedEmitterOf(e intake.RefusedEmitter) refusedEmitter {
	shown := refusedEmitter{Emitter: e.EmitterID, Packets: e.Packets, Error: e.Packets, ByReason: []refusedPackets{}, Last: e.Last.UTC()}
	for _, one := range e.Reasons {
		shown.ByReason = append(shown.ByReason, refusedPackets(one))
		shown.Error -= one.Packets
	}
	return shown
}
