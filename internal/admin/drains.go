package admin

import (
	"slices"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func volumeOf(v packet.Volume) adminapi.Volume {
	return adminapi.Volume{Packets: v.Packets, Messages: v.Messages}
}

// drainStateOf returns the state of a drain; now are the analyzers, whose queues hold the remaining
// packets.
func drainStateOf(d control.DrainStatus, now []distributor.AnalyzerStatus) adminapi.Drain {
	state := adminapi.Drain{
		Operation: d.Operation, Analyzer: d.Analyzer, Kind: d.Kind, Running: d.Ended == nil,
		Started: d.Started, Deadline: d.Deadline, Ended: valueOf(d.Ended), Restarts: d.Restarts,
	}
	if d.BeforeRestart != nil {
		state.BeforeRestart = proofOf(*d.BeforeRestart)
	}
	if d.Ended != nil {
		state.Proof = proofOf(d.Proof)
		return state
	}
	if at := slices.IndexFunc(now, func(one distributor.AnalyzerStatus) bool { return one.ID == d.Analyzer }); at >= 0 {
		state.Left = new(volumeOf(now[at].Queued.Plus(now[at].InFlight)))
	}
	return state
}

func proofOf(p distributor.DrainProof) *adminapi.DrainProof {
	return &adminapi.DrainProof{
		Result: p.Result, Held: adminapi.Volume(p.Held), Delivered: p.Delivered, Rerouted: p.Rerouted, DeadLettered: p.DeadLettered,
		Remaining: p.Remaining, RoutedSince: p.RoutedSince, PossibleDuplicates: p.PossibleDuplicates, Unaccounted: p.Unaccounted,
	}
}

func (a *api) listDrains(*request) (*response, error) {
	list, now := []adminapi.Drain{}, a.control.Distributor().Status().Analyzers
	for _, one := range a.control.Drains() {
		list = append(list, drainStateOf(one, now))
	}
	return &response{body: adminapi.Drains{Drains: list}}, nil
}

func (a *api) getDrain(r *request) (*response, error) {
	state, err := pollUntil(r, func() (adminapi.Drain, bool, error) {
		one, ok := a.control.DrainOf(r.name)
		if !ok {
			return adminapi.Drain{}, false, refuse(notFound, "there is no drain %s; the latest 2048 are kept", shown(r.name))
		}
		return drainStateOf(one, a.control.Distributor().Status().Analyzers), one.Ended != nil, nil
	})
	if err != nil {
		return nil, err
	}
	return &response{body: state}, nil
}
