package control

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// put returns the overrides of a revision with one more. A value that is the one of the
// sources needs none, unless it expires.
func put(r *revision, request Request, path string, value json.RawMessage) (overrides, error) {
	bare := r.overrides.without(path)
	base, _ := resolve(r.sources, r.ids, bare)
	changed := base.clone()
	if err := changed.set(path, value); err != nil {
		return nil, invalid(r, path, value, err)
	}
	one := Override{
		Path: path, Value: changed.get(path), Base: base.get(path),
		Actor: request.Actor.Name, Reason: request.Reason, Time: time.Now().UTC(),
	}
	if request.TTL > 0 {
		at := one.Time.Add(request.TTL)
		one.Expires = &at
	} else if sameJSON(one.Value, one.Base) {
		return bare, nil
	}
	return r.overrides.with(one), nil
}

// invalid returns the Error of a value that cannot be set.
func invalid(r *revision, path string, value json.RawMessage, err error) *Error {
	refusal := &Error{Code: InvalidSetting, Key: path, Value: value, Detail: err.Error()}
	if key, isSetting := strings.CutPrefix(path, settingsPrefix); isSetting {
		refusal.Key = key
		if s, known := r.setting(key); known {
			refusal.Allowed = s.Allowed()
		} else {
			refusal.Code = NotFound
		}
	}
	return refusal
}

// revert returns the overrides of a revision without the one with a path, or none if the
// path is empty.
func revert(r *revision, path string) (overrides, error) {
	if path == "" {
		return nil, nil
	}
	if _, found := r.overrides.find(path); !found {
		return nil, refuse(NotFound, "there is no override of %q", path)
	}
	return r.overrides.without(path), nil
}

const maxTTL = 30 * 24 * time.Hour

func (request Request) check() error {
	if request.TTL < 0 || request.TTL > maxTTL {
		return &Error{Code: InvalidSetting, Key: "ttl", Value: encode(request.TTL.String()), Allowed: "0s to 720h", Detail: fmt.Sprintf("ttl is %v: it must be 0s to 720h", request.TTL)}
	}
	return nil
}
