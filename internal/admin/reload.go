package admin

// reasonBody is the body of a request that has a reason only.
type reasonBody struct {
	Reason reason `json:"reason"`
}

func (a *api) reload(r *request) (*response, error) {
	var body reasonBody
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	change, err := r.change(options{Reason: body.Reason})
	if err != nil {
		return nil, err
	}
	result, err := a.control.Reload(r.Context(), change)
	resp, err := r.changed(result, err)
	if err == nil {
		resp.status, resp.location = 0, "" // the reload is complete; drains continue in the background
	}
	return resp, err
}

func (a *api) getConfig(r *request) (*response, error) {
	r.word("format", "yaml", "yaml")
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision := a.control.Revision()
	return &response{revision: revision, contentType: "application/yaml", text: a.control.YAML()}, nil
}
