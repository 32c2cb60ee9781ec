package control

import (
	"encoding/json"
	"strings"
	"time"
)

// put returns the overrides of a revision with an additional one. A value that equals the value of
// the sources needs no override, unless it expires.
func put(r *revision, request Request, path string, value json.RawMessage) (overrides, error) {
	bare := r.overrides.without(path)
	base, _ := r.resolve(r.sources, bare)
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
		one.Expires, one.due = &at, at // with the reading of the monotonic clock
	} else if sameJSON(one.Value, one.Base) {
		return bare, nil
	}
	return r.overrides.with(one), nil
}

// invalid returns the Error of a value that cannot be set.
func invalid(r *revision, path string, value json.RawMessage, err error) *Error {
	refusal := refuseInvalid(err)
	if key, isSetting := strings.CutPrefix(path, settingsPrefix); isSetting {
		refusal.Key, refusal.Value = key, value
		if s, known := r.setting(key); known {
			refusal.Allowed = s.Allowed()
		} else {
			refusal.Code = NotFound
		}
	}
	return refusal
}

// revert returns the overrides of a revision without the one with a path, or none if the path is
// empty. If the request expires, the values of the sources are overrides until then.
func revert(r *revision, request Request, path string) (overrides, error) {
	if _, found := r.overrides.find(path); !found && path != "" {
		return nil, refuse(NotFound, "there is no override of %q", path)
	}
	next := *r
	for _, one := range r.overrides {
		if _, left := next.overrides.find(one.Path); !left || path != "" && one.Path != path {
			continue // it was reverted with its item
		}
		wanted, err := revertOne(&next, request, one.Path)
		if err != nil {
			return nil, err
		}
		next.overrides = wanted
	}
	return next.overrides, nil
}

func revertOne(r *revision, request Request, path string) (overrides, error) {
	bare := r.overrides.without(path)
	if request.TTL == 0 {
		return bare, nil
	}
	base, _ := r.resolve(r.sources, bare)
	return put(r, request, path, base.get(path))
}

const maxTTL = 30 * 24 * time.Hour

func (request Request) check() error {
	if request.TTL < 0 || request.TTL > maxTTL {
		return refuseValue("ttl", request.TTL.String(), "0s to 720h")
	}
	return nil
}
