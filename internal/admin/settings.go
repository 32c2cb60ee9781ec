package admin

import (
	"encoding/json"
	"errors"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
)

func (a *api) getSettings(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision := a.control.Revision()
	settings := make(map[string]adminapi.Setting)
	for _, s := range a.control.Settings() {
		settings[s.Key] = adminapi.Setting{Value: s.Value, Origin: s.Origin, Overridden: s.Overridden, Secret: s.Secret, Expires: valueOf(s.Expires)}
	}
	return &response{revision: revision, body: adminapi.Settings{Revision: revision, Settings: settings}}, nil
}

func (a *api) patchSettings(r *request) (*response, error) {
	members, err := membersOf(r.body, "")
	if err != nil {
		return nil, err
	}
	var body options
	common := make(map[string]json.RawMessage)
	for _, name := range []string{"ttl", "reason"} {
		if value, there := members[name]; there {
			common[name] = value
			delete(members, name)
		}
	}
	text, err := json.Marshal(common)
	if err == nil {
		err = decode(text, &body)
	}
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, refuse(malformed, "the body must have at least one setting: GET /v1/settings lists them")
	}
	change, err := r.change(body)
	if err != nil {
		return nil, err
	}
	result, err := a.control.PatchSettings(r.Context(), change, members)
	return r.changed(result, refuseUnknown(err))
}

// refuseUnknown returns the error for an unknown setting as that of an invalid one: the path
// exists.
func refuseUnknown(err error) error {
	var refused *control.Error
	if errors.As(err, &refused) && refused.Code == control.NotFound {
		unknown := *refused
		unknown.Code = control.InvalidSetting
		return &unknown
	}
	return err
}
