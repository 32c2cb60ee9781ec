package admin

import (
	"net/http"

	"github.com/logstreamer/logstreamer/internal/control"
)

// changed answers a change: 202 if it started a drain.
func (r *request) changed(result control.Result, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	r.record.Revision, r.record.Changed = result.Revision, result.Changed
	answered := &answer{revision: result.Revision, body: result}
	if result.Operation != "" {
		answered.status, answered.location = http.StatusAccepted, "/v1/drains/"+result.Operation
	}
	return answered, nil
}
