package admin

import (
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// maxDeadline bounds the deadline of a removal.
const maxDeadline = 24 * time.Hour

// removal has the members that the body of a change may have if the change may leave no analyzer
// ready.
type removal struct {
	options
	Force bool `json:"force"`
}

// removal returns the members that all changes have.
func (r *request) removal(body removal) (control.Request, error) {
	change, err := r.change(body.options)
	change.Force = body.Force
	return change, err
}

// analyzerSpec are the members of an analyzer that clients set.
type analyzerSpec struct {
	ID     string  `json:"id"`
	URL    string  `json:"url" required:"true"`
	Weight float64 `json:"weight" required:"true"`
	State  string  `json:"state"`
}

func (s analyzerSpec) target() distributor.Target {
	return distributor.Target{ID: s.ID, URL: s.URL, Weight: s.Weight, State: s.State}
}

func (a *api) addAnalyzer(r *request) (*response, error) {
	var body struct {
		analyzerSpec
		options
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	change, err := r.change(body.options)
	if err != nil {
		return nil, err
	}
	result, err := a.control.AddAnalyzer(r.Context(), change, body.target())
	resp, err := r.changed(result, err)
	if err == nil && !change.DryRun {
		resp.status, resp.location = http.StatusCreated, "/v1/"+result.Changed[0].Path
	}
	return resp, err
}

func (a *api) replaceAnalyzers(r *request) (*response, error) {
	var body struct {
		Analyzers []analyzerSpec `json:"analyzers" required:"true"`
		removal
	}
	read := r.decode
	if bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("[")) { // the list itself
		read = func(any) error { return decodeValue(r.body, reflect.ValueOf(&body.Analyzers).Elem(), "analyzers") }
	}
	if err := read(&body); err != nil {
		return nil, err
	}
	change, err := r.removal(body.removal)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.Header.Get("If-Match")) == "" {
		return nil, refuse(preconditionRequired, "If-Match must have the revision that the list was made from: see the ETag of GET /v1/analyzers")
	}
	targets := make([]distributor.Target, len(body.Analyzers))
	for i, one := range body.Analyzers {
		targets[i] = one.target()
	}
	return r.changed(a.control.ReplaceAnalyzers(r.Context(), change, targets))
}

func (a *api) patchAnalyzer(r *request) (*response, error) {
	var body struct {
		Weight   *float64           `json:"weight"`
		State    *string            `json:"state"`
		URL      *string            `json:"url"`
		Deadline *adminapi.Duration `json:"deadline"`
		removal
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	if body.Weight == nil && body.State == nil && body.URL == nil {
		return nil, refuse(malformed, "the body must have weight, state or url")
	}
	change, err := r.removal(body.removal)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.PatchAnalyzer(r.Context(), change, r.name, control.AnalyzerPatch{
		Weight: body.Weight, State: body.State, URL: body.URL, Deadline: (*time.Duration)(body.Deadline),
	}))
}

func (a *api) removeAnalyzer(r *request) (*response, error) {
	var body removal
	if err := r.decodeDelete(&body); err != nil {
		return nil, err
	}
	var deadline *time.Duration // nil: DRAIN_TIMEOUT_SEC
	if r.has("deadline") {
		deadline = new(r.duration("deadline", 0, maxDeadline))
	}
	change, err := r.removal(body)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.RemoveAnalyzer(r.Context(), change, r.name, deadline))
}

func (a *api) setBreaker(r *request) (*response, error) {
	var body struct {
		Action string `json:"action" required:"true"`
		options
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	change, err := r.change(body.options)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.Breaker(change, r.name, body.Action))
}
