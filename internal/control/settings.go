package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
)

// PatchSettings sets settings by their keys; null reverts a setting.
func (c *Controller) PatchSettings(ctx context.Context, request Request, values map[string]json.RawMessage) (Result, error) {
	return c.change(ctx, request, "setting_changed", func(r *revision) (overrides, error) {
		next := *r
		for _, key := range sortedKeys(values) {
			wanted, err := next.patchSetting(request, key, values[key])
			if err != nil {
				return nil, err
			}
			next.overrides = wanted
		}
		return next.overrides, nil
	})
}

func (r *revision) patchSetting(request Request, key string, value json.RawMessage) (overrides, error) {
	s, known := r.setting(key)
	path := settingsPrefix + key
	if !known {
		return nil, invalid(r, path, value, r.clone().Set(key, value))
	}
	if code, why := unchangeable(s); code != "" {
		return nil, &Error{Code: code, Detail: why, Key: key, Value: value, Allowed: s.Allowed()}
	}
	if string(value) == "null" {
		return revertOne(r, request, path)
	}
	return put(r, request, path, value)
}

// unchangeable returns why the API cannot change a setting; the code is empty if it can.
func unchangeable(s config.Setting) (code Code, why string) {
	switch {
	case s.Secret():
		return InvalidSetting, s.Key + " is secret: it is set in the file or the environment, and a reload applies it"
	case isList(s.Key):
		return InvalidSetting, fmt.Sprintf("%s is a list with paths of its own: /v1/%s", s.Key, s.Key)
	case !s.Live:
		return RestartRequired, s.Key + " changes only with a restart"
	}
	return "", ""
}

func isList(key string) bool {
	return slices.ContainsFunc(lists, func(of list) bool { return of.key == key })
}

func sortedKeys(values map[string]json.RawMessage) []string {
	var keys []string
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// SettingStatus is a setting for display.
type SettingStatus struct {
	Key        string
	Value      any // masked if Secret
	Origin     string
	Secret     bool
	Overridden bool
	Expires    *time.Time // of the override
}

// Settings returns the settings that can be changed while the distributor runs.
func (c *Controller) Settings() []SettingStatus {
	r := c.current.Load()
	list := []SettingStatus{}
	for _, s := range r.settings {
		if s.Live && !isList(s.Key) {
			list = append(list, r.status(s))
		}
	}
	return list
}

func (r *revision) status(s config.Setting) SettingStatus {
	status := SettingStatus{Key: s.Key, Value: r.Value(s), Origin: r.Origin(s.Key).String(), Secret: s.Secret()}
	if i, found := r.overrides.find(settingsPrefix + s.Key); found {
		status.Overridden, status.Expires = true, r.overrides[i].Expires
	}
	return status
}

// Overrides returns what differs from file, environment and flags.
func (c *Controller) Overrides() []Override {
	return append([]Override{}, c.current.Load().overrides...)
}

// Revert removes the override with a path, or all if the path is empty.
func (c *Controller) Revert(ctx context.Context, request Request, path string) (Result, error) {
	return c.change(ctx, request, "reverted", func(r *revision) (overrides, error) { return revert(r, request, path) })
}

// YAML returns the effective configuration as a file, without secrets.
func (c *Controller) YAML() []byte {
	text, err := c.current.Load().YAML()
	if err != nil {
		c.deps.Logger.Error("the configuration cannot be written as YAML", "error", err) // impossible: values are texts, numbers, booleans and lists of these
	}
	return text
}
