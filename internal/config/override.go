package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Clone returns a copy that Set can change independently.
func (l *Loaded[T]) Clone() *Loaded[T] {
	return &Loaded[T]{Config: l.Config, Shadowed: l.Shadowed, origins: maps.Clone(l.origins)}
}

// Set sets the setting with that key to a JSON value. The syntax is that of the file, in which a
// text may represent any value. It does not call T's Validate method.
func (l *Loaded[T]) Set(key string, value json.RawMessage) error {
	settings := settingsOf(reflect.TypeFor[T]())
	from := Origin{source: fromOverride}
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return unknownKey(key, from, settings)
	}
	s := settings[i]
	if err := s.setJSON(s.field(reflect.ValueOf(&l.Config).Elem()), value, from); err != nil {
		return err
	}
	l.origins[key] = from
	return nil
}

func (s Setting) setJSON(field reflect.Value, value json.RawMessage, from Origin) error {
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return fmt.Errorf("%s: %w", s.name(from), err)
	}
	switch decoded := decoded.(type) {
	case nil:
		return Refuse(s.Key, nil, s.Allowed(), "%s: the value is missing", s.name(from))
	case string:
		return s.set(field, decoded, from)
	case []any:
		if len(decoded) == 0 && s.items() != nil {
			field.SetZero()
			return nil
		}
		return s.setJSONList(field, value, from)
	case map[string]any:
		return fmt.Errorf("%s: an object is not a value of this setting", s.name(from))
	default: // a number or a boolean
		return s.set(field, string(value), from)
	}
}

// setJSONList sets the field to a list; YAML has the same syntax for it.
func (s Setting) setJSONList(field reflect.Value, value json.RawMessage, from Origin) error {
	file, err := parser.ParseBytes(value, 0)
	if err != nil || len(file.Docs) != 1 {
		return fmt.Errorf("%s: the list cannot be read: %v", s.name(from), err)
	}
	for _, err := range s.setNode(field, file.Docs[0].Body, from) {
		if err != nil {
			return err
		}
	}
	return nil
}

// IndexItem returns the index of the item of a list of objects whose field with a key has that
// text, or -1.
func (l *Loaded[T]) IndexItem(s Setting, key, text string) int {
	fields := s.items()
	i := slices.IndexFunc(fields, func(f Setting) bool { return f.Key == key })
	if i < 0 {
		return -1
	}
	list := s.field(reflect.ValueOf(l.Config))
	for at := range list.Len() {
		if fields[i].text(fields[i].field(list.Index(at))) == text {
			return at
		}
	}
	return -1
}

// Item returns the item at an index of a list of objects, as Value does.
func (l *Loaded[T]) Item(s Setting, at int) map[string]any {
	return encodeItem(s.items(), s.field(reflect.ValueOf(l.Config)).Index(at))
}

// SetItem sets the item at an index of a list of objects to a JSON object, or adds one if the
// index is negative. Like Set, it does not call T's Validate method.
func (l *Loaded[T]) SetItem(s Setting, at int, value json.RawMessage) error {
	one := reflect.New(s.typ).Elem()
	if err := s.setJSONList(one, slices.Concat([]byte("["), value, []byte("]")), Origin{source: fromOverride}); err != nil {
		return err
	}
	l.splice(s, at, one)
	return nil
}

// RemoveItem removes the item at an index of a list of objects.
func (l *Loaded[T]) RemoveItem(s Setting, at int) {
	l.splice(s, at, reflect.New(s.typ).Elem())
}

// splice replaces an item with others in a copy of the list, because Clone shares the list.
func (l *Loaded[T]) splice(s Setting, at int, by reflect.Value) {
	field := s.field(reflect.ValueOf(&l.Config).Elem())
	before, after := field, field.Slice(0, 0)
	if at >= 0 {
		before, after = field.Slice(0, at), field.Slice(at+1, field.Len())
	}
	list := reflect.AppendSlice(reflect.AppendSlice(reflect.AppendSlice(reflect.Zero(s.typ), before), by), after)
	field.Set(list) // an empty list is nil, as in a file
	l.origins[s.Key] = Origin{source: fromOverride}
}

// Value returns the value of a setting as JSON and YAML represent it; the value of a secret is
// masked, and the value of a setting whose default depends on others is nil.
func (l *Loaded[T]) Value(s Setting) any { return s.encode(s.field(reflect.ValueOf(l.Config))) }

func (s Setting) encode(field reflect.Value) any {
	if fields := s.items(); fields != nil {
		items := make([]map[string]any, field.Len())
		for i := range items {
			items[i] = encodeItem(fields, field.Index(i))
		}
		return items
	}
	text := s.text(field)
	switch {
	case text == "" && !s.isText():
		return nil
	case s.isText() || s.Secret():
		return text
	default:
		return scalar(text)
	}
}

func encodeItem(fields []Setting, item reflect.Value) map[string]any {
	encoded := make(map[string]any)
	for _, one := range fields {
		if value := one.field(item); !value.IsZero() || one.tag.Get("required") != "" {
			encoded[one.Key] = one.encode(value)
		}
	}
	return encoded
}

// scalar returns the integer, boolean or number in a text.
func scalar(text string) any {
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		return integer
	}
	if truth, err := strconv.ParseBool(text); err == nil {
		return truth
	}
	number, _ := strconv.ParseFloat(text, 64)
	return number
}

// YAML returns a file with the values of all settings that differ from the defaults. It omits
// secrets, each with a comment.
func (l *Loaded[T]) YAML() ([]byte, error) {
	var text strings.Builder
	for _, s := range settingsOf(reflect.TypeFor[T]()) {
		if l.origins[s.Key] == (Origin{}) {
			continue
		}
		if s.Secret() {
			fmt.Fprintf(&text, "# %s is secret\n", s.Key)
			continue
		}
		line, err := yaml.Marshal(map[string]any{s.Key: l.Value(s)})
		if err != nil {
			return nil, err
		}
		text.Write(line)
	}
	return []byte(text.String()), nil
}

// Allowed describes the values that the setting may have; it is empty if they are not known, or any
// text is allowed.
func (s Setting) Allowed() string {
	if _, parses := reflect.New(s.typ).Interface().(encoding.TextUnmarshaler); parses || s.tag.Get("allowed") != "" {
		return s.tag.Get("allowed")
	}
	_, needed, _ := s.value("")
	switch _, bounded := s.tag.Lookup("min"); {
	case bounded && needed != "":
		return needed + ", " + s.bounds()
	case bounded:
		return s.bounds()
	default:
		return needed
	}
}
