package admin

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// volume is a number of packets and of their messages.
type volume struct {
	Packets  int64 `json:"packets"`
	Messages int64 `json:"messages"`
}

func volumeOf(v packet.Volume) volume { return volume{v.Packets, v.Messages} }

// drainState is the answer about a drain.
type drainState struct {
	Operation string                  `json:"operation"`
	Analyzer  string                  `json:"analyzer"`
	Kind      string                  `json:"kind"`
	Running   bool                    `json:"running"`
	Started   time.Time               `json:"started"`
	Deadline  time.Time               `json:"deadline"`
	Ended     *time.Time              `json:"ended,omitempty"`
	Left      *volume                 `json:"left,omitempty"`
	Proof     *distributor.DrainProof `json:"proof,omitempty"`
	Restarts  int                     `json:"restarts,omitempty"`
	Before    *distributor.DrainProof `json:"before_restart,omitempty"`
}

// drainStateOf returns the state of a drain; now are the analyzers, which tell what is left.
func drainStateOf(d control.DrainStatus, now []distributor.AnalyzerStatus) drainState {
	state := drainState{
		Operation: d.Operation, Analyzer: d.Analyzer, Kind: d.Kind, Running: d.Ended == nil,
		Started: d.Started, Deadline: d.Deadline, Ended: d.Ended, Restarts: d.Restarts, Before: d.BeforeRestart,
	}
	if d.Ended != nil {
		state.Proof = &d.Proof
		return state
	}
	if at := slices.IndexFunc(now, func(one distributor.AnalyzerStatus) bool { return one.ID == d.Analyzer }); at >= 0 {
		state.Left = new(volumeOf(now[at].Queued.Plus(now[at].InFlight)))
	}
	return state
}

func (a *api) listDrains(*request) (*answer, error) {
	list, now := []drainState{}, a.control.Distributor().Status().Analyzers
	for _, one := range a.control.Drains() {
		list = append(list, drainStateOf(one, now))
	}
	return &answer{body: map[string][]drainState{"drains": list}}, nil
}

func (a *api) getDrain(r *request) (*answer, error) {
	state, err := pollUntil(r, func() (drainState, bool, error) {
		all := a.control.Drains()
		at := slices.IndexFunc(all, func(one control.DrainStatus) bool { return one.Operation == r.name })
		if at < 0 {
			return drainState{}, false, refuse(notFound, "there is no drain %s; the last one of each analyzer is kept", shown(r.name))
		}
		return drainStateOf(all[at], a.control.Distributor().Status().Analyzers), all[at].Ended != nil, nil
	})
	if err != nil {
		return nil, err
	}
	return &answer{body: state}, nil
}
