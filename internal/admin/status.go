package admin

import (
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// status is the answer about the distributor as a whole.
type status struct {
	State     string                    `json:"state"`
	Reason    string                    `json:"reason"`
	Ready     bool                      `json:"ready"`
	Intake    string                    `json:"intake"`
	Dispatch  string                    `json:"dispatch"`
	Version   string                    `json:"version"`
	Boot      string                    `json:"boot"`
	Started   time.Time                 `json:"started"`
	Uptime    duration                  `json:"uptime"`
	Revision  int64                     `json:"revision"`
	Overrides int                       `json:"overrides"`
	Analyzers analyzerCounts            `json:"analyzers"`
	Journal   distributor.JournalStatus `json:"journal"`
	Settings  control.StoreStatus       `json:"settings"`
	Ledger    ledger                    `json:"ledger"`
	Rates     rates                     `json:"rates"`
	Reload    *reloadState              `json:"last_reload"`
}

type analyzerCounts struct {
	Total   int `json:"total"`
	Healthy int `json:"healthy"`
}

type ledger struct {
	Accepted     volume `json:"accepted"`
	Delivered    volume `json:"delivered"`
	Queued       volume `json:"queued"`
	InFlight     volume `json:"in_flight"`
	DeadLettered volume `json:"dead_lettered"`
	Damaged      volume `json:"damaged"`
	// Received and Returned are those of a shared journal.
	Received    *volume `json:"received,omitempty"`
	Returned    *volume `json:"returned,omitempty"`
	Unaccounted int64   `json:"unaccounted_messages"`
}

type rates struct {
	Accepted  float64 `json:"accepted_messages_per_s"`
	Delivered float64 `json:"delivered_messages_per_s"`
	Refused   float64 `json:"refused_packets_per_s"`
}

type reloadState struct {
	Time       time.Time `json:"time"`
	Successful bool      `json:"successful"`
	Detail     string    `json:"detail"`
}

func (a *api) getStatus(r *request) (*answer, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	s := a.statusNow(a.control.Distributor().Status())
	return &answer{revision: s.Revision, body: s}, nil
}

// statusNow returns the status; now is that of the distributor.
func (a *api) statusNow(now distributor.Status) (s status) {
	d, config, reload := a.control.Distributor(), a.control.Config(), a.control.LastReload()
	s.State, s.Reason = d.State()
	s.Ready = d.Ready() == nil
	s.Intake, s.Dispatch = config.Distributor.Intake.Mode, config.Distributor.Dispatch
	s.Version, s.Boot, s.Started = a.version, d.History().Boot(), a.started.UTC()
	s.Uptime = duration(time.Since(a.started).Truncate(time.Second))
	s.Revision, s.Overrides = a.control.Revision(), len(a.control.Overrides())
	s.Analyzers, s.Ledger = countAnalyzers(now), ledgerOf(d, now)
	s.Journal, s.Settings = d.JournalStatus(), a.control.Store()
	s.Rates = rates{now.Rates.In, now.Rates.Out, now.Rates.Refused}
	s.Reload = &reloadState{reload.Time, reload.Success, reload.Detail}
	return s
}

func countAnalyzers(now distributor.Status) (counts analyzerCounts) {
	for _, one := range now.Analyzers {
		counts.Total++
		if one.Healthy {
			counts.Healthy++
		}
	}
	return counts
}

func ledgerOf(d *distributor.Distributor, now distributor.Status) ledger {
	l := ledger{
		Accepted: volumeOf(now.Accepted), Delivered: volumeOf(now.Delivered), Queued: volumeOf(now.Waiting.Plus(now.Queued)),
		InFlight: volumeOf(now.InFlight), DeadLettered: volumeOf(now.DeadLettered), Damaged: volumeOf(now.Damaged), Unaccounted: now.Unaccounted,
	}
	if d.JournalStatus().Shared {
		l.Received, l.Returned = new(volumeOf(now.Received)), new(volumeOf(now.Returned))
	}
	return l
}

// probe is the answer to a load balancer.
type probe struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (a *api) getReady(*request) (*answer, error) {
	d := a.control.Distributor()
	if refusal := d.Ready(); refusal != nil {
		refused := refuse(unavailable, "%s", refusal.Detail)
		refused.Code, refused.Title, refused.Status = code(refusal.Code), refusal.Code.Title(), http.StatusServiceUnavailable
		refused.Type = problemType + string(refused.Code)
		return nil, refused
	}
	ready := probe{Status: "ready"}
	if state, reason := d.State(); state != "normal" {
		ready.Detail = reason
	}
	return &answer{body: ready}, nil
}

func (a *api) getHealthy(*request) (*answer, error) {
	return &answer{body: probe{Status: "alive"}}, nil
}
