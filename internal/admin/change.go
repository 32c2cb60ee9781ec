package admin

import (
	"net/http"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
)

// changed returns the response to a change: status 202 if the change started a drain.
func (r *request) changed(result control.Result, err error) (*response, error) {
	if err != nil {
		return nil, err
	}
	body := changeOf(result)
	r.record.Revision, r.record.Changed = body.Revision, body.Changed
	resp := &response{revision: body.Revision, body: body}
	if result.Operation != "" {
		resp.status, resp.location = http.StatusAccepted, "/v1/drains/"+result.Operation
	}
	return resp, nil
}

func changeOf(r control.Result) adminapi.Change {
	change := adminapi.Change{
		Revision: r.Revision, DryRun: r.DryRun, Changed: []adminapi.Changed{}, Projected: []adminapi.Projection{},
		BoundMessages: r.BoundMessages, Warnings: r.Warnings, Shadowed: r.Shadowed, Operation: r.Operation,
	}
	for _, one := range r.Changed {
		change.Changed = append(change.Changed, adminapi.Changed{Path: one.Path, Old: one.Old, New: one.New})
	}
	for _, one := range r.Projected {
		change.Projected = append(change.Projected, adminapi.Projection(one))
	}
	return change
}
