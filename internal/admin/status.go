package admin

import (
	"net/http"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

func (a *api) getStatus(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	s := a.statusNow(a.control.Distributor().Status())
	return &response{revision: s.Revision, body: s}, nil
}

// statusNow returns the status; now is the status of the distributor.
func (a *api) statusNow(now distributor.Status) (s adminapi.Status) {
	d, config, reload := a.control.Distributor(), a.control.Config(), a.control.LastReload()
	s.State, s.Reason = d.State()
	if why := d.Ready(); why != nil {
		s.Refusal = &adminapi.Refusal{Code: string(why.Code), Detail: why.Detail}
	}
	s.Ready = s.Refusal == nil
	s.Intake, s.Dispatch = config.Distributor.Intake.Mode, config.Distributor.Dispatch
	s.Ingest = a.identify().Ingest
	s.Version, s.Boot, s.Started = a.version, d.History().Boot(), a.started.UTC()
	s.Uptime = adminapi.Duration(time.Since(a.started).Truncate(time.Second))
	s.Revision, s.Overrides = a.control.Revision(), len(a.control.Overrides())
	s.Analyzers, s.Ledger = countAnalyzers(now), ledgerOf(d, now)
	s.DeadLetters = adminapi.Losses{WriteErrors: d.DeadLetters().WriteErrors(), FilesRemoved: d.DeadLetters().FilesRemoved()}
	s.Journal, s.Settings = adminapi.Journal(d.JournalStatus()), adminapi.SettingsStatus(a.control.Store())
	s.Rates = ratesOf(now)
	s.LastReload = &adminapi.Reload{Time: reload.Time, Successful: reload.Success, Detail: reload.Detail}
	return s
}

func ratesOf(now distributor.Status) adminapi.Rates {
	return adminapi.Rates{Accepted: now.Rates.In, Delivered: now.Rates.Out, Refused: now.Rates.Refused}
}

func countAnalyzers(now distributor.Status) (counts adminapi.AnalyzerCounts) {
	for _, one := range now.Analyzers {
		counts.Total++
		if one.Healthy {
			counts.Healthy++
		}
	}
	return counts
}

func ledgerOf(d *distributor.Distributor, now distributor.Status) adminapi.Ledger {
	l := adminapi.Ledger{
		Accepted: volumeOf(now.Accepted), Delivered: volumeOf(now.Delivered), Queued: volumeOf(now.Waiting.Plus(now.Queued)),
		InFlight: volumeOf(now.InFlight), DeadLettered: volumeOf(now.DeadLettered), Damaged: volumeOf(now.Damaged), UnaccountedMessages: now.Unaccounted,
	}
	if d.JournalStatus().Shared {
		l.Received, l.Returned = new(volumeOf(now.Received)), new(volumeOf(now.Returned))
	}
	return l
}

// probe is the response to a load balancer.
type probe struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (a *api) getReady(*request) (*response, error) {
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
	return &response{body: ready}, nil
}

func (a *api) getHealthy(*request) (*response, error) {
	return &response{body: probe{Status: "alive"}}, nil
}
