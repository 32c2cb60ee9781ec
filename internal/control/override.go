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
	Beneath *Override  `json:"beneath,omitempty"`
}

// overrides is a list of overrides in the order of their paths, so that an item comes before
// its fields. It is not changed; its methods return others.
type overrides []Override

func (o overrides) find(path string) (i int, ok bool) {
	return slices.BinarySearchFunc(o, path, func(one Override, path string) int { return strings.Compare(one.Path, path) })
}

// with returns the list with one override more. One that expires covers the one with the
// same path; any other replaces it. The overrides of its parts go.
func (o overrides) with(one Override) overrides {
	if i, found := o.find(one.Path); found && one.Expires != nil {
		covered := o[i]
		if one.Beneath = &covered; covered.Expires != nil {
			one.Beneath = covered.Beneath
		}
	}
	next := o.without(one.Path)
	i, _ := next.find(one.Path)
	return slices.Insert(next, i, one)
}

// without returns the list without the override with a path and those of its parts.
func (o overrides) without(path string) overrides {
	return slices.DeleteFunc(slices.Clone(o), func(one Override) bool {
		rest, below := strings.CutPrefix(one.Path, path)
		return below && (rest == "" || rest[0] == '/' && hasParts(path))
	})
}

// hasParts reports whether paths below that path name parts of the same value. An emitter's
// id may contain a slash.
func hasParts(path string) bool {
	of, name, field, isList := split(path)
	return isList && field == "" && (name == "" || of.fields)
}

// expire returns the list in which those that have expired have reverted, and their paths.
func (o overrides) expire(now time.Time) (left overrides, expired []string) {
	for _, one := range o {
		if one.Expires == nil || one.Expires.After(now) {
			left = append(left, one)
			continue
		}
		expired = append(expired, one.Path)
		if one.Beneath != nil {
			left = append(left, *one.Beneath)
		}
	}
	return left, expired
}

// nextExpiry returns when the first override expires.
func (o overrides) nextExpiry() (at time.Time, ok bool) {
	for _, one := range o {
		if one.Expires != nil && (!ok || one.Expires.Before(at)) {
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
