package admin

import (
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// analyzerState is the answer about an analyzer.
type analyzerState struct {
	ID   string `json:"id"`
	Spec struct {
		URL    string  `json:"url"`
		Weight float64 `json:"weight"`
		State  string  `json:"state"`
	} `json:"spec"`
	Group        string         `json:"group,omitempty"`
	Registered   bool           `json:"registered,omitempty"`
	LeaseExpires *time.Time     `json:"lease_expires,omitempty"`
	Status       analyzerStatus `json:"status"`
	Drain        *drainState    `json:"drain,omitempty"`
}

type analyzerStatus struct {
	Share       float64    `json:"share"`
	TargetShare float64    `json:"target_share"`
	Deviation   float64    `json:"deviation_messages"`
	Ramp        float64    `json:"ramp"`
	Healthy     bool       `json:"healthy"`
	Health      string     `json:"health"`
	Breaker     string     `json:"breaker"`
	Queue       volume     `json:"queue"`
	QueueLimit  int        `json:"queue_limit_packets"`
	InFlight    volume     `json:"in_flight"`
	Routed      volume     `json:"routed"`
	Pace        float64    `json:"pace"`
	P99         duration   `json:"p99"`
	Out         string     `json:"out,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
}

// analyzerList is the answer about all analyzers.
type analyzerList struct {
	Revision  int64           `json:"revision"`
	Bound     float64         `json:"bound_messages"`
	Analyzers []analyzerState `json:"analyzers"`
}

func (a *api) listAnalyzers(r *request) (*answer, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	list := a.analyzersNow(a.control.Revision(), a.control.Distributor().Status())
	return &answer{revision: list.Revision, body: list}, nil
}

// analyzersNow returns the analyzers; the revision was read before the status.
func (a *api) analyzersNow(revision int64, now distributor.Status) analyzerList {
	list := analyzerList{revision, now.MaxDeviationMessages, make([]analyzerState, 0, len(now.Analyzers))}
	for _, one := range now.Analyzers {
		list.Analyzers = append(list.Analyzers, a.stateOf(one))
	}
	return list
}

func (a *api) getAnalyzer(r *request) (*answer, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision, all := a.control.Revision(), a.control.Distributor().Status().Analyzers
	at := slices.IndexFunc(all, func(one distributor.AnalyzerStatus) bool { return one.ID == r.name })
	if at < 0 {
		return nil, refuse(notFound, "there is no analyzer with the id %s", shown(r.name))
	}
	return &answer{revision: revision, body: a.stateOf(all[at])}, nil
}

func (a *api) stateOf(s distributor.AnalyzerStatus) analyzerState {
	state := analyzerState{ID: s.ID, Group: s.Group}
	state.Spec.URL, state.Spec.Weight, state.Spec.State = s.Spec.URL, s.Spec.Weight, s.Spec.State
	if s.Lease != nil {
		state.Registered, state.LeaseExpires = true, new(s.Lease.Expires.UTC())
	}
	state.Status = analyzerStatus{
		Share: s.Effective, TargetShare: s.Target, Deviation: s.DeviationMessages, Ramp: s.Ramp, Healthy: s.Healthy, Health: s.Health,
		Breaker: breakerNames[s.Breaker.State], Queue: volumeOf(s.Queued), QueueLimit: s.Limit, InFlight: volumeOf(s.InFlight),
		Routed: volumeOf(s.Held()), Pace: s.Pace, P99: duration(s.LatencyP99),
	}
	out, until := outOf(s)
	state.Status.Out = out.String()
	if !until.IsZero() {
		until = until.UTC()
		state.Status.Until = &until
	}
	if drain, ok := a.control.Drain(s.ID); ok {
		shown := drainStateOf(drain, []distributor.AnalyzerStatus{s})
		state.Drain = &shown
	}
	return state
}

var breakerNames = map[breaker.State]string{breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half_open"}

// outOf returns why an analyzer gets no packets, 0 if it does, and until when.
func outOf(s distributor.AnalyzerStatus) (reason upstream.Outage, until time.Time) {
	switch {
	case s.Spec.State != distributor.StateReady:
		return upstream.OutageNamed(s.Spec.State), time.Time{}
	case s.Breaker.State == breaker.Open && !s.Breaker.ForcedUntil.IsZero():
		return upstream.BreakerOpen, s.Breaker.ForcedUntil
	case s.Breaker.State == breaker.Open:
		return upstream.BreakerOpen, s.Breaker.NextProbe
	case s.Probing:
		return upstream.Probing, time.Time{}
	case !s.PausedUntil.IsZero():
		return upstream.AskedPause, s.PausedUntil
	case s.Queued.Packets+s.InFlight.Packets >= int64(s.Limit):
		return upstream.NoRoom, time.Time{}
	}
	return 0, time.Time{}
}
