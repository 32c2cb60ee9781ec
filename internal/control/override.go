package control

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Override is a value that an operator set over the one of file, environment and flags.
type Override struct {
	// Path is settings/KEY, analyzers, analyzers/ID, analyzers/ID/FIELD, limits or
	// limits/EMITTER.
	Path string `json:"path"`
	// Value is null for an item that was removed.
	Value json.RawMessage `json:"value"`
	// Base is the value that was replaced. While the sources still have it, the override
	// holds; when they have another one, the sources win.
	Base   json.RawMessage `json:"base"`
	Actor  string          `json:"actor,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Time   time.Time       `json:"time"`
	// Expires is when the override reverts itself, to Beneath or to the base.
	Expires *time.Time `json:"expires,omitempty"`
	// Beneath are the overrides of the same path and of its parts, none of which expires,
	// that hold again when this one has expired.
	Beneath []Override `json:"beneath,omitempty"`
	// Idle is why an override that distributors share has no effect at this one.
	Idle string `json:"idle,omitempty"`

	// unseen means that another distributor made the override, and that its bases are those
	// there.
	unseen bool
}

// rebased returns an override with the values that it replaces here.
func (o Override) rebased(here loaded) Override {
	o.Base, o.unseen = here.get(o.Path), false
	beneath := here.clone()
	o.Beneath = slices.Clone(o.Beneath)
	for i, one := range o.Beneath {
		o.Beneath[i].Base = beneath.get(one.Path)
		_ = beneath.set(one.Path, one.Value) // one that is not allowed here is idle when it is uncovered
	}
	return o
}

// overrides is a list of overrides in the order of their paths, so that an item comes before
// its fields. It is not changed; its methods return others.
type overrides []Override

func (o overrides) find(path string) (i int, ok bool) {
	return slices.BinarySearchFunc(o, path, func(one Override, path string) int { return strings.Compare(one.Path, path) })
}

// with returns the list with one override more. One that expires covers those of the same
// path and of its parts until then; any other replaces them.
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

// under returns the override with a path and those of its parts.
func (o overrides) under(path string) overrides {
	return slices.DeleteFunc(slices.Clone(o), func(one Override) bool { return !isUnder(one.Path, path) })
}

// isUnder reports whether a path is another one or that of a part of it.
func isUnder(path, other string) bool {
	rest, below := strings.CutPrefix(path, other)
	return below && (rest == "" || rest[0] == '/' && hasParts(other))
}

// permanent returns what is left of the list when all that expires has expired.
func (o overrides) permanent() overrides {
	left, _ := o.revert(func(Override) bool { return true })
	return left
}

// add returns the list with an override, unless the list has one with its path.
func (o overrides) add(one Override) overrides {
	i, found := o.find(one.Path)
	if found {
		return o
	}
	return slices.Insert(o, i, one)
}

// lastEffective returns the path of the last one that has an effect.
func (o overrides) lastEffective() (path string) {
	for _, one := range o {
		if one.Idle == "" {
			path = one.Path
		}
	}
	return path
}

// idle returns why overrides have no effect, by path.
func (o overrides) idle() map[string]string {
	reasons := make(map[string]string)
	for _, one := range o {
		if one.Idle != "" {
			reasons[one.Path] = one.Idle
		}
	}
	return reasons
}

// seenBy returns the list that another distributor has made with the bases of a revision,
// where that knows the override.
func (o overrides) seenBy(r *revision) overrides {
	seen := slices.Clone(o)
	for i, one := range seen {
		at, known := r.seen.find(one.Path)
		if known = known && r.seen[at].Time.Equal(one.Time) && sameJSON(r.seen[at].Value, one.Value); known {
			seen[i].Base, seen[i].Beneath = r.seen[at].Base, r.seen[at].Beneath
		}
		seen[i].unseen = !known
	}
	return seen
}

// hasParts reports whether paths below that path name parts of the same value. An emitter's
// id may contain a slash.
func hasParts(path string) bool {
	of, name, field, isList := split(path)
	return isList && field == "" && (name == "" || of.fields)
}

// expire returns the list in which those that have expired have reverted, and those.
func (o overrides) expire(now time.Time) (left, expired overrides) {
	return o.revert(func(one Override) bool { return !one.Expires.After(now) })
}

// revert returns the list in which those of the ones that expire have reverted for which
// due holds, and those.
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
		left = left.add(one) // one that was set meanwhile wins
	}
	return left, expired
}

// nextExpiry returns when the first override expires after that time.
func (o overrides) nextExpiry(after time.Time) (at time.Time, ok bool) {
	for _, one := range o {
		if one.Expires != nil && one.Expires.After(after) && (!ok || one.Expires.Before(at)) {
			at, ok = *one.Expires, true
		}
	}
	return at, ok
}

// sameJSON reports whether two texts are the same value. No text is null.
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
