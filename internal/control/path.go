package control

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/config"
)

// Paths name parts of a configuration, in overrides and in changes.
const (
	settingsPrefix  = "settings/"
	analyzersPrefix = "analyzers/"
	limitsPrefix    = "limits/"

	analyzersKey = "analyzers"
)

// list is a setting that is a list of objects, each with a key that names it. Its key is
// the path of the whole list.
type list struct {
	prefix string // prefix of the paths of items
	key    string // key of the setting
	name   string // key of the field that names an item
	fields bool   // a path may name a field of an item
}

var lists = []list{
	{prefix: analyzersPrefix, key: analyzersKey, name: "id", fields: true},
	{prefix: limitsPrefix, key: "limits", name: "emitter"},
}

// item is an object of a list.
type item = map[string]any

// loaded is a configuration whose parts have paths.
type loaded struct {
	*config.Loaded[Config]
	settings []config.Setting
}

func (l loaded) clone() loaded { return loaded{l.Clone(), l.settings} }

// setting returns the setting with a key.
func (l loaded) setting(key string) (s config.Setting, ok bool) {
	i := slices.IndexFunc(l.settings, func(s config.Setting) bool { return s.Key == key })
	if i < 0 {
		return config.Setting{}, false
	}
	return l.settings[i], true
}

// items returns the objects of a list.
func (l loaded) items(of list) []item {
	s, ok := l.setting(of.key)
	if !ok {
		return nil
	}
	items, _ := l.Value(s).([]item)
	return items
}

// split returns the list of a path, the name of the item and that of its field, if any.
func split(path string) (of list, name, field string, ok bool) {
	for _, one := range lists {
		rest, found := strings.CutPrefix(path, one.prefix)
		if path == one.key {
			return one, "", "", true
		}
		if !found {
			continue
		}
		if one.fields {
			rest, field, _ = strings.Cut(rest, "/")
		}
		return one, rest, field, true
	}
	return list{}, "", "", false
}

// indexOf returns the index of the item with a name, or -1.
func (of list) indexOf(items []item, name string) int {
	return slices.IndexFunc(items, func(one item) bool { return one[of.name] == name })
}

// get returns the value at a path, or null.
func (l loaded) get(path string) json.RawMessage {
	var value any
	if key, isSetting := strings.CutPrefix(path, settingsPrefix); isSetting {
		if s, ok := l.setting(key); ok {
			value = l.Value(s)
		}
	} else if of, name, field, ok := split(path); ok {
		value = l.getItem(of, name, field)
		if path == of.key {
			value = l.items(of)
		}
	}
	return encode(value)
}

// set sets the value at a path. The value of an item, or of its field, may be null.
func (l loaded) set(path string, value json.RawMessage) error {
	if key, isSetting := strings.CutPrefix(path, settingsPrefix); isSetting {
		return l.Set(key, value)
	}
	of, name, field, ok := split(path)
	if !ok {
		return fmt.Errorf("%q: a path begins with %s, %s or %s", path, settingsPrefix, analyzersPrefix, limitsPrefix)
	}
	if path == of.key {
		return l.setList(of, value)
	}
	err := l.setItem(of, name, field, value)
	l.settleAnalyzers()
	return err
}

// getItem returns the item of a list with a name, or a field of that item; nil if there is none.
func (l loaded) getItem(of list, name, field string) any {
	s, _ := l.setting(of.key)
	at := l.IndexItem(s, of.name, name)
	switch {
	case at < 0:
		return nil
	case field != "":
		return l.Item(s, at)[field]
	default:
		return l.Item(s, at)
	}
}

// setItem sets an item of a list or a field of that item; null removes the item. It reads and
// writes that item only, because a configuration may have hundreds of items, each with an override.
func (l loaded) setItem(of list, name, field string, value json.RawMessage) error {
	var decoded any
	if err := unmarshalOrNull(value, &decoded); err != nil {
		return err
	}
	s, _ := l.setting(of.key)
	at := l.IndexItem(s, of.name, name)
	object, isObject := decoded.(item)
	switch {
	case field != "" && at < 0:
		return fmt.Errorf("%s%s/%s: there is no %q", of.prefix, name, field, name)
	case field != "":
		object = l.Item(s, at)
		if object[field] = decoded; decoded == nil {
			delete(object, field)
		}
	case decoded == nil && at >= 0:
		l.RemoveItem(s, at)
		return nil
	case decoded == nil:
		return nil
	case !isObject:
		return fmt.Errorf("%s%s: an object is needed", of.prefix, name)
	default:
		object[of.name] = name
	}
	return l.SetItem(s, at, encode(object))
}

// setList sets a whole list.
func (l loaded) setList(of list, value json.RawMessage) error {
	err := l.Set(of.key, value)
	l.settleAnalyzers()
	return err
}

// settleAnalyzers gives analyzers all fields that others depend on, as those of the sources
// have them.
func (l loaded) settleAnalyzers() {
	l.Config.Distributor.Targets = l.Config.Distributor.Targets.WithIDs(nil)
}

func encode(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("null") // impossible: values of settings are texts, numbers, booleans and lists of these
	}
	return text
}

// Changed is a part of the configuration with its old and its new value. Values of secrets are
// masked.
type Changed struct {
	Path string
	Old  json.RawMessage
	New  json.RawMessage

	key  string // how a change of the setting is applied
	live bool
}

// diff returns the differences of two configurations.
func diff(old, updated loaded) []Changed {
	changes := []Changed{}
	for _, change := range config.Diff(old.Config, updated.Config) {
		if i := slices.IndexFunc(lists, func(of list) bool { return of.key == change.Key }); i >= 0 {
			changes = append(changes, diffItems(lists[i], old.items(lists[i]), updated.items(lists[i]))...)
			continue
		}
		path := settingsPrefix + change.Key
		changes = append(changes, Changed{path, old.get(path), updated.get(path), change.Key, change.Live})
	}
	return changes
}

func diffItems(of list, old, updated []item) (changes []Changed) {
	add := func(path string, before, after any) {
		changes = append(changes, Changed{of.prefix + path, encode(before), encode(after), of.key, true})
	}
	for _, before := range old {
		name, _ := before[of.name].(string)
		at := of.indexOf(updated, name)
		switch {
		case at < 0:
			add(name, before, nil)
		case !of.fields && !reflect.DeepEqual(before, updated[at]):
			add(name, before, updated[at])
		case of.fields:
			for _, field := range fieldsOf(before, updated[at]) {
				if !reflect.DeepEqual(before[field], updated[at][field]) {
					add(name+"/"+field, before[field], updated[at][field])
				}
			}
		}
	}
	for _, after := range updated {
		if name, _ := after[of.name].(string); of.indexOf(old, name) < 0 {
			add(name, nil, after)
		}
	}
	return changes
}

// fieldsOf returns the sorted names of the fields that two items have.
func fieldsOf(a, b item) []string {
	var fields []string
	for _, one := range []item{a, b} {
		for field := range one {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
