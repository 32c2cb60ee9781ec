package admin

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// emitter returns the parameter emitter, which the changes of limits need.
func (r *request) emitter() (string, error) {
	if r.text("emitter") == "" {
		return "", missing("emitter")
	}
	return r.text("emitter"), nil
}

func (a *api) setLimit(r *request) (*response, error) {
	var body struct {
		Rate  float64 `json:"rate" required:"true"`
		Burst float64 `json:"burst"`
		options
	}
	emitter, err := r.emitter()
	if err == nil && len(emitter) > packet.MaxIDBytes {
		err = refuseValue("emitter", emitter, fmt.Sprintf("an emitter_id, of at most %d bytes", packet.MaxIDBytes))
	}
	if err == nil {
		err = r.decode(&body)
	}
	if err != nil {
		return nil, err
	}
	change, err := r.change(body.options)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.SetLimit(r.Context(), change, control.Limit{Emitter: emitter, Rate: body.Rate, Burst: body.Burst}))
}

func (a *api) clearLimit(r *request) (*response, error) {
	var body options
	emitter, err := r.emitter()
	if err == nil {
		err = r.decodeDelete(&body)
	}
	if err != nil {
		return nil, err
	}
	change, err := r.change(body)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.ClearLimit(r.Context(), change, emitter))
}

func (a *api) getLimits(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision, general := a.control.Revision(), a.control.Config().Distributor.Rate
	usual := adminapi.RateLimit{Rate: general.Rate, Burst: general.Burst}
	body := adminapi.Limits{Revision: revision, Default: usual, Limits: []adminapi.Limit{}}
	overrides := make(map[string]control.Override)
	for _, one := range a.control.Overrides() {
		overrides[one.Path] = one
	}
	for _, limit := range a.control.Limits() {
		override, overridden := overrides["limits/"+limit.Emitter]
		if !r.has("emitter") || limit.Emitter == r.text("emitter") {
			body.Limits = append(body.Limits, adminapi.Limit{
				Emitter: limit.Emitter, RateLimit: adminapi.RateLimit{Rate: limit.Rate, Burst: limit.Burst}, Overridden: overridden, Expires: valueOf(override.Expires),
			})
		}
	}
	if r.has("emitter") && len(body.Limits) == 0 {
		body.Limits = append(body.Limits, adminapi.Limit{Emitter: r.text("emitter"), RateLimit: usual})
	}
	if r.has("emitter") {
		body.RateLimit = &body.Limits[0].RateLimit
	}
	return &response{revision: revision, body: body}, nil
}
