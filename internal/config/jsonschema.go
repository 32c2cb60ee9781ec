package config

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
)

// JSONSchema returns the JSON Schema of the configuration file.
func (l *Loader[T]) JSONSchema(title string) ([]byte, error) {
	schema := objectSchema(l.Settings, reflect.ValueOf(l.defaults))
	maps.Copy(schema["properties"].(map[string]any), l.Sections)
	schema["$schema"], schema["title"] = "https://json-schema.org/draft/2020-12/schema", title
	text, err := json.MarshalIndent(schema, "", "  ")
	return append(text, '\n'), err
}

// objectSchema returns the schema of an object with these settings as members.
func objectSchema(settings []Setting, defaults reflect.Value) map[string]any {
	properties, required := make(map[string]any), []string{}
	for _, s := range settings {
		property, text := s.schema(), ""
		property["description"] = s.Help
		if defaults.IsValid() {
			text = s.text(s.field(defaults))
		}
		switch {
		case s.Secret():
			property["writeOnly"] = true
		case text == "": // no default, or one that depends on other settings
		case s.isText():
			property["default"] = text
		default:
			property["default"] = json.RawMessage(text)
		}
		if s.tag.Get("required") != "" {
			required = append(required, s.Key)
		}
		properties[s.Key] = property
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// isText reports whether JSON has the value as a string.
func (s Setting) isText() bool {
	_, parsesText := reflect.New(s.typ).Interface().(encoding.TextUnmarshaler)
	return parsesText || s.kind() == reflect.String || s.typ == durationType && s.tag.Get("format") == ""
}

// schema returns the schema of a value.
func (s Setting) schema() map[string]any {
	text := map[string]any{"type": "string"}
	if pattern, ok := s.tag.Lookup("pattern"); ok {
		text["pattern"] = pattern
	}
	switch {
	case s.kind() == reflect.Slice:
		items := []any{text}
		if fields := s.items(); fields != nil {
			items = append(items, objectSchema(fields, reflect.Value{}))
		}
		return anyOf(text, map[string]any{"type": "array", "items": anyOf(items...)})
	case len(s.enum()) > 0:
		return map[string]any{"enum": s.enum()}
	case s.kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case s.isText():
		return text
	case s.tag.Get("format") == "bytes":
		return anyOf(s.numberSchema(), map[string]any{"type": "string", "pattern": sizeForm.String()})
	}
	return s.numberSchema()
}

func anyOf(schemas ...any) map[string]any { return map[string]any{"anyOf": schemas} }

func (s Setting) numberSchema() map[string]any {
	schema := map[string]any{"type": "integer"}
	scale := 1.0
	if s.typ == durationType {
		scale = float64(s.unit())
	}
	if s.typ == durationType || s.kind() == reflect.Float64 {
		schema["type"] = "number"
	}
	if s.tag.Get("format") == "port" {
		schema["minimum"], schema["maximum"] = 0, 1<<16-1
	}
	for name, keyword := range map[string]string{"min": "minimum", "max": "maximum"} {
		limit, exclusive, _ := s.bound(name)
		if exclusive {
			keyword = "exclusiveMinimum"
		}
		if _, bounded := s.tag.Lookup(name); bounded {
			schema[keyword] = limit / scale
		}
	}
	return schema
}
