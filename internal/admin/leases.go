package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/discovery"
)

// The states of a lease.
const (
	leaseActive = "active"
	leaseLapsed = "lapsed"
)

func (a *api) leaseStateOf(lease discovery.Lease) adminapi.Lease {
	state := leaseActive
	if lease.Lapsed {
		state = leaseLapsed
	}
	return adminapi.Lease{
		ID: lease.ID, Group: lease.Group, URL: lease.URL, Weight: lease.GroupWeight, Expires: lease.Expires.UTC(), State: state, Owner: lease.Owner,
		TTL: adminapi.Duration(a.control.Distributor().Config().LeaseTTL),
	}
}

func (a *api) listLeases(*request) (*response, error) {
	list := []adminapi.Lease{}
	for _, one := range a.control.Leases() {
		list = append(list, a.leaseStateOf(one))
	}
	return &response{body: adminapi.Leases{Leases: list}}, nil
}

// putLease grants or renews a lease. A renewal before the expiry changes nothing, and is not
// recorded.
func (a *api) putLease(r *request) (*response, error) {
	var body struct {
		URL    string  `json:"url" required:"true"`
		Weight float64 `json:"weight" required:"true"`
		Group  string  `json:"group"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	wanted := discovery.Lease{ID: r.name, Group: body.Group, URL: body.URL, Weight: body.Weight}
	if r.record.DryRun = r.flag("dry_run"); r.record.DryRun {
		return a.checkLease(r, wanted)
	}
	if r.query.err != nil {
		return nil, r.query.err
	}
	lease, change, err := a.control.Register(r.Context(), r.actor(), wanted)
	if err != nil {
		return nil, err
	}
	if change == "" {
		r.record = nil
	}
	resp := &response{body: a.leaseStateOf(lease)}
	if change == discovery.Granted {
		resp.status, resp.location = http.StatusCreated, "/v1/analyzers/"+r.name
	}
	return resp, nil
}

// checkLease answers as putLease does, without the change.
func (a *api) checkLease(r *request, wanted discovery.Lease) (*response, error) {
	checked, err := a.control.CheckLease(r.Context(), r.actor(), wanted)
	if err != nil {
		return nil, err
	}
	state := a.leaseStateOf(checked)
	state.DryRun = true
	return &response{body: state}, nil
}

// endLease ends the lease of an analyzer, and waits for the end of its drain for at most the time
// in the parameter wait.
func (a *api) endLease(r *request) (*response, error) {
	var body struct {
		Reason reason `json:"reason"`
	}
	if err := r.decodeDelete(&body); err != nil {
		return nil, err
	}
	r.record.Reason, r.record.DryRun = string(body.Reason), r.flag("dry_run")
	var deadline *time.Duration // nil: DRAIN_TIMEOUT_SEC
	if r.has("deadline") {
		deadline = new(r.duration("deadline", 0, maxDeadline))
	}
	r.duration("wait", 0, maxWait)
	if r.query.err != nil {
		return nil, r.query.err
	}
	operation, err := a.control.EndLease(control.Request{Actor: r.actor(), Reason: string(body.Reason), DryRun: r.record.DryRun}, r.name, deadline)
	if err != nil {
		return nil, err
	}
	if operation == "" {
		return &response{body: adminapi.EndedLease{DryRun: r.record.DryRun}}, nil
	}
	return a.awaitDrain(r, operation)
}

// awaitDrain answers 200 with the proof of a drain, or 202 if the drain does not end in the time
// that the client waits. A stop of the server ends the wait.
func (a *api) awaitDrain(r *request, operation string) (*response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	r.Request = r.WithContext(ctx)
	resp := &response{status: http.StatusAccepted, location: "/v1/drains/" + operation}
	state, err := pollUntil(r, func() (adminapi.EndedLease, bool, error) {
		one, ok := a.control.DrainOf(operation)
		if !ok {
			return adminapi.EndedLease{Operation: operation}, true, nil // many drains have begun since
		}
		drain := drainStateOf(one, nil)
		return adminapi.EndedLease{Operation: operation, Drain: &drain}, !drain.Running, nil
	})
	if err != nil {
		return nil, err
	}
	if state.Drain != nil && !state.Drain.Running {
		resp.status = 0
	}
	resp.body = state
	return resp, nil
}
