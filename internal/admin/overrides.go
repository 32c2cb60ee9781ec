package admin

import (
	"slices"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/control"
)

func (a *api) listOverrides(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision := a.control.Revision()
	return &response{revision: revision, body: adminapi.Overrides{Revision: revision, Overrides: orEmpty(overridesOf(a.control.Overrides()))}}, nil
}

func overridesOf(all []control.Override) (overrides []adminapi.Override) {
	for _, o := range all {
		overrides = append(overrides, adminapi.Override{
			Path: o.Path, Value: o.Value, Base: o.Base, Actor: o.Actor, Reason: o.Reason, Time: o.Time,
			Expires: valueOf(o.Expires), Beneath: overridesOf(o.Beneath), Idle: o.Idle,
		})
	}
	return overrides
}

func (a *api) getOverride(r *request) (*response, error) {
	if err := a.awaitNewer(r); err != nil {
		return nil, err
	}
	revision, all := a.control.Revision(), a.control.Overrides()
	at := slices.IndexFunc(all, func(one control.Override) bool { return one.Path == r.name })
	if at < 0 {
		return nil, refuse(notFound, "there is no override %s", shown(r.name))
	}
	return &response{revision: revision, body: overridesOf(all[at : at+1])[0]}, nil
}

// revert reverts the override of the path, or all of them.
func (a *api) revert(r *request) (*response, error) {
	var body removal
	if err := r.decodeDelete(&body); err != nil {
		return nil, err
	}
	change, err := r.removal(body)
	if err != nil {
		return nil, err
	}
	return r.changed(a.control.Revert(r.Context(), change, r.name))
}

// valueOf returns the value that a pointer points to, or the zero value for nil.
func valueOf[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}

// orEmpty returns a list that JSON encodes as [] if there is none.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
