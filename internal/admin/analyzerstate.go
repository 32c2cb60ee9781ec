package admin

import (
	"slices"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

func (a *api) listAnalyzers(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	list := a.analyzersNow(a.control.Revision(), a.control.Distributor().Status())
	return &response{revision: list.Revision, body: list}, nil
}

// analyzersNow returns the analyzers; the revision was read before the status.
func (a *api) analyzersNow(revision int64, now distributor.Status) adminapi.Analyzers {
	list := adminapi.Analyzers{Revision: revision, BoundMessages: now.MaxDeviationMessages, Analyzers: make([]adminapi.Analyzer, 0, len(now.Analyzers))}
	for _, one := range now.Analyzers {
		list.Analyzers = append(list.Analyzers, a.stateOf(one))
	}
	return list
}

func (a *api) getAnalyzer(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision, all := a.control.Revision(), a.control.Distributor().Status().Analyzers
	at := slices.IndexFunc(all, func(one distributor.AnalyzerStatus) bool { return one.ID == r.name })
	if at < 0 {
		return nil, refuse(notFound, "there is no analyzer with the id %s", shown(r.name))
	}
	return &response{revision: revision, body: a.stateOf(all[at])}, nil
}

func (a *api) stateOf(s distributor.AnalyzerStatus) adminapi.Analyzer {
	state := adminapi.Analyzer{
		ID: s.ID, Group: s.Group, Spec: adminapi.AnalyzerSpec{URL: s.Spec.URL, Weight: s.Spec.Weight, State: s.Spec.State},
	}
	if s.Lease != nil {
		state.Registered, state.LeaseExpires = true, s.Lease.Expires.UTC()
	}
	state.Status = adminapi.AnalyzerStatus{
		Share: s.Effective, TargetShare: s.Target, DeviationMessages: s.DeviationMessages, Ramp: s.Ramp, Healthy: s.Healthy, Health: s.Health,
		Breaker: s.Breaker.State.String(), Queue: volumeOf(s.Queued), QueueLimit: s.Limit, InFlight: volumeOf(s.InFlight),
		Routed: volumeOf(s.Held()), Pace: s.Pace, P99: adminapi.Duration(s.LatencyP99), Outage: s.Outage, Out: s.Out.String(), Until: s.Until.UTC(),
	}
	if drain, ok := a.control.Drain(s.ID); ok {
		shown := drainStateOf(drain, []distributor.AnalyzerStatus{s})
		state.Drain = &shown
	}
	return state
}
