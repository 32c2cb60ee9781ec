package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Setting is a field that is a setting, as its tags describe it:
//
//	env      its environment variable; in lower case its key in the file
//	flag     its flag; without the tag the environment variable in lower case with dashes
//	help     its meaning
//	format   bytes, port, host, or the unit of a duration: seconds, milliseconds
//	min, max bounds, in the syntax of Go for a duration; >0 excludes 0
//	zero     what 0 means, for messages
//	enum     the allowed values, separated by commas
//	auto     true: a default out of bounds means that it depends on other settings
//	reload   live: a running process can apply a change; replace: it can unless the setting was
//	         empty, or becomes so; otherwise a change needs a restart
//	secret   true: the value is never shown
//
// A field of a struct type may have a prefix, which the environment variables of its
// settings get, and so their keys and flags: a struct can be there several times.
//
// A list may have objects as items, whose fields have key instead of env and flag, and also
// pattern (a regular expression), allowed (what is allowed, in words) and required (the
// error without the field).
type Setting struct {
	Env, Flag, Key, Help string
	// Live reports whether a running process can apply a change; see Change.Live.
	Live bool

	typ   reflect.Type
	index []int  // name of the field
	path  string // prefix: the object in the file, with a dot, if the setting is the field of an item
	tag   reflect.StructTag
	auto  bool
}

// replace is a value of the tag reload.
const replace = "replace"

// settingsOf returns the settings of a struct.
func settingsOf(t reflect.Type) []Setting { return prefixedSettings(t, "") }

func prefixedSettings(t reflect.Type, prefix string) []Setting {
	var settings []Setting
	for field := range t.Fields() {
		env, name, key := field.Tag.Get("env"), field.Tag.Get("flag"), field.Tag.Get("key")
		if env != "" {
			env = prefix + env
		}
		switch {
		case env+name+key != "":
			name = cmp.Or(name, strings.ReplaceAll(strings.ToLower(env), "_", "-"))
			settings = append(settings, Setting{
				Env: env, Flag: name, Key: cmp.Or(key, strings.ToLower(env), name), Help: field.Tag.Get("help"),
				Live: slices.Contains([]string{"live", replace}, field.Tag.Get("reload")), typ: field.Type, index: field.Index, tag: field.Tag, auto: field.Tag.Get("auto") == "true",
			})
		case field.Type.Kind() == reflect.Struct:
			for _, s := range prefixedSettings(field.Type, prefix+field.Tag.Get("prefix")) {
				s.index = append(field.Index[:1:1], s.index...)
				settings = append(settings, s)
			}
		}
	}
	return settings
}

// Secret reports whether the value is never shown.
func (s Setting) Secret() bool { return s.tag.Get("secret") == "true" }

func (s Setting) kind() reflect.Kind { return s.typ.Kind() }

func (s Setting) field(config reflect.Value) reflect.Value { return config.FieldByIndex(s.index) }

// items returns the settings of the items of a list of objects, or nil for any other setting.
func (s Setting) items() []Setting {
	if s.kind() != reflect.Slice || s.typ.Elem().Kind() != reflect.Struct {
		return nil
	}
	return settingsOf(s.typ.Elem())
}

// set sets the field to the value of the text.
func (s Setting) set(field reflect.Value, text string, from Origin) error {
	needed, err := s.parse(field, text)
	allowed := s.outOfBounds(field)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	switch inWords := s.tag.Get("allowed"); {
	case err == nil && allowed == "":
		return nil
	case inWords != "":
		err = fmt.Errorf("%s: the %s %.100q must be %s", s.name(from), s.Key, s.mask(text), inWords)
	case err != nil:
		err = fmt.Errorf("%s: %w", s.quote(text, from), err)
	case s.auto:
		err = fmt.Errorf("%s: %s is needed", s.quote(text, from), needed)
	default:
		err = fmt.Errorf("%s is %v: it must be %s", s.name(from), s.mask(field.Interface()), allowed)
	}
	return &ValueError{Key: s.Key, Value: s.refused(text), Allowed: cmp.Or(s.Allowed(), allowed, reason), Err: err}
}

// refused returns a refused text for a ValueError: as JSON if the setting is a number or a boolean,
// and masked if it is secret.
func (s Setting) refused(text string) any {
	if !s.isText() && !s.Secret() && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return s.mask(text)
}

// quote describes a text with its source.
func (s Setting) quote(text string, from Origin) string {
	switch shown := s.mask(text); {
	case from.source == fromFlag:
		return fmt.Sprintf("invalid value %q for flag -%s", shown, s.Flag)
	case from.source == fromEnvironment:
		return fmt.Sprintf("the environment's %s=%q", s.Env, shown)
	case text == "":
		return s.name(from)
	default:
		return fmt.Sprintf("%s: %q", s.name(from), shown)
	}
}

// name returns the setting's name in a source.
func (s Setting) name(from Origin) string {
	switch from.source {
	case fromFlag:
		return cmp.Or(s.Env, "-"+s.Flag)
	case fromEnvironment:
		return "the environment's " + s.Env
	case fromOverride:
		return s.path + s.Key
	default:
		return fmt.Sprintf("%v: %s%s", from, s.path, s.Key)
	}
}

// mask returns the value, or the mask if the setting is a secret.
func (s Setting) mask(value any) any {
	if s.Secret() && !reflect.ValueOf(value).IsZero() {
		return "xxxxx"
	}
	return value
}

// detail returns the text of a field; for a list of objects it has all their fields.
func (s Setting) detail(field reflect.Value) string {
	fields := s.items()
	if fields == nil {
		return s.text(field)
	}
	var items []string
	for i := range field.Len() {
		var parts []string
		for _, one := range fields {
			parts = append(parts, one.Key+": "+one.text(one.field(field.Index(i))))
		}
		items = append(items, "{"+strings.Join(parts, ", ")+"}")
	}
	return strings.Join(items, ", ")
}
