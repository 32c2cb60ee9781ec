package control

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Override is a value that an operator set in place of the value of file, environment and flags.
type Override struct {
	// Path is settings/KEY, analyzers, analyzers/ID, analyzers/ID/FIELD, limits or
	// limits/EMITTER.
	Path string `json:"path"`
	// Value is null for an item that was removed.
	Value json.RawMessage `json:"value"`
	// Base is the value that was replaced. While the sources have this value, the override holds;
	// when they have another value, the sources win.
	Base   json.RawMessage `json:"base"`
	Actor  string          `json:"actor,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Time   time.Time       `json:"time"`
	// Expires is when the override reverts to Beneath, or to the base.
	Expires *time.Time `json:"expires,omitempty"`
	// Beneath are the overrides of the same path and of its parts, none of which expires, that hold
	// again after the expiry.
	Beneath []Override `json:"beneath,omitempty"`
	// Idle is the reason why an override that distributors share has no effect at this distributor.
	Idle string `json:"idle,omitempty"`

	// due is the expiry by the clock of this process, which may differ from the clock of the
	// process that has set Expires; zero: at Expires.
	due time.Time
	// unseen means that another distributor made the override, with bases of its own.
	unseen bool
}

// expiry returns the time at which an override expires.
func (o Override) expiry() time.Time {
	if o.due.IsZero() {
		return *o.Expires
	}
	return o.due
}

// rebased returns an override with the bases of this distributor.
func (o Override) rebased(here loaded) Override {
	o.Base, o.unseen = here.get(o.Path), false
	beneath := here.clone()
	o.Beneath = slices.Clone(o.Beneath)
	for i, one := range o.Beneath {
		o.Beneath[i].Base = beneath.get(one.Path)
		_ = beneath.set(one.Path, one.Value) // an override that is not allowed here is idle when it is uncovered
	}
	return o
}

// overrides is a list of overrides in the order of their paths, so that an item precedes its
// fields. It is immutable; its methods return other lists.
type overrides []Override

func (o overrides) find(path string) (i int, ok bool) {
	return slices.BinarySearchFunc(o, path, func(one Override, path string) int { return strings.Compare(one.Path, path) })
}

// with returns the list with an additional override. An override that expires covers those of the
// same path and of its parts until then; any other replaces them.
func (o overrides) with(one Override) overrides {
	if one.Expires != nil {
		one.Beneath = o.under(one.Path).permanent()
	}
	next := o.without(one.Path)
	i, _ := next.find(one.Path)
	return slices.Insert(next, i, one)
}

// without returns the list without the override with a path and those of its parts.
func (o overrides) without(path string) overrides {
	return slices.DeleteFunc(slices.Clone(o), func(one Override) bool { return isUnder(one.Path, path) })
}

// equal reports whether two lists are the same.
func (o overrides) equal(other overrides) bool {
	return len(o)+len(other) == 0 || bytes.Equal(encode(o), encode(other))
}

// under returns the override with a path and those of its parts.
func (o overrides) under(path string) overrides {
	return slices.DeleteFunc(slices.Clone(o), func(one Override) bool { return !isUnder(one.Path, path) })
}

// isUnder reports whether a path is equal to another one or is the path of a part of it.
func isUnder(path, other string) bool {
	rest, below := strings.CutPrefix(path, other)
	return below && (rest == "" || rest[0] == '/' && hasParts(other))
}

// permanent returns the list after all expiries.
func (o overrides) permanent() overrides {
	left, _ := o.revert(func(Override) bool { return true })
	return left
}

// add returns the list with an override, unless the list has an override with its path.
func (o overrides) add(one Override) overrides {
	i, found := o.find(one.Path)
	if found {
		return o
	}
	return slices.Insert(o, i, one)
}

// lastEffective returns the path of the last override that has an effect.
func (o overrides) lastEffective() (path string) {
	for _, one := range o {
		if one.Idle == "" {
			path = one.Path
		}
	}
	return path
}

// idle returns the reasons why overrides have no effect, by path.
func (o overrides) idle() map[string]string {
	reasons := make(map[string]string)
	for _, one := range o {
		if one.Idle != "" {
			reasons[one.Path] = one.Idle
		}
	}
	return reasons
}

// seenBy returns the list that another distributor has made, with the bases of a revision for the
// overrides that the revision has. Any other override was set just now, and expires after its
// duration, whatever the clock of the other machine.
func (o overrides) seenBy(r *revision) overrides {
	seen := slices.Clone(o)
	for i, one := range seen {
		at, known := r.seen.find(one.Path)
		if known = known && r.seen[at].Time.Equal(one.Time) && sameJSON(r.seen[at].Value, one.Value); known {
			seen[i].Base, seen[i].Beneath, seen[i].due = r.seen[at].Base, r.seen[at].Beneath, r.seen[at].due
		} else if one.Expires != nil {
			seen[i].due = time.Now().Add(one.Expires.Sub(one.Time))
		}
		seen[i].unseen = !known
	}
	return seen
}

// hasParts reports whether longer paths than that path name parts of the same value. An emitter's
// id may contain a slash.
func hasParts(path string) bool {
	of, name, field, isList := split(path)
	return isList && field == "" && (name == "" || of.fields)
}

// expire returns the list after the expired overrides have reverted, and the expired overrides.
func (o overrides) expire(now time.Time) (left, expired overrides) {
	return o.revert(func(one Override) bool { return !one.expiry().After(now) })
}

// revert returns the list after the overrides that expire and for which due holds have reverted,
// and those overrides.
func (o overrides) revert(due func(Override) bool) (left, expired overrides) {
	var covered overrides
	for _, one := range o {
		if one.Expires == nil || !due(one) {
			left = append(left, one)
			continue
		}
		expired = append(expired, one)
		covered = append(covered, one.Beneath...)
	}
	for _, one := range covered {
		left = left.add(one) // an override that was set meanwhile wins
	}
	return left, expired
}

// nextExpiry returns when the first override expires after that time.
func (o overrides) nextExpiry(after time.Time) (at time.Time, ok bool) {
	for _, one := range o {
		if one.Expires != nil && one.expiry().After(after) && (!ok || one.expiry().Before(at)) {
			at, ok = one.expiry(), true
		}
	}
	return at, ok
}

// sameJSON reports whether two texts are the same JSON value. An empty text is null.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var one, other any
	return unmarshalOrNull(a, &one) == nil && unmarshalOrNull(b, &other) == nil && reflect.DeepEqual(one, other)
}

func unmarshalOrNull(text json.RawMessage, value any) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, value)
}
