package admin

import "net/http"

// upgradeState is the response about an upgrade.
type upgradeState struct {
	DryRun bool   `json:"dry_run,omitempty"`
	Detail string `json:"detail"`
}

func (a *api) upgrade(r *request) (*response, error) {
	var body reasonBody
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	change, err := r.change(options{Reason: body.Reason})
	if err != nil {
		return nil, err
	}
	if a.upgrader == nil {
		return nil, refuse(conflict, "this process cannot be upgraded: restart it instead")
	}
	if change.DryRun {
		if err := a.upgrader.Preflight(r.Context()); err != nil {
			return nil, refuse(conflict, "%v", err)
		}
		return &response{body: upgradeState{true, "the new binary can take over"}}, nil
	}
	if err := a.upgrader.Request(r.Context()); err != nil {
		return nil, refuse(conflict, "the upgrade failed, and the distributor continues: %v", err)
	}
	return &response{status: http.StatusAccepted, body: upgradeState{Detail: "the new binary takes over now"}}, nil
}
