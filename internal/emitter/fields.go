package emitter

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// field is a value of a structured line.
type field struct {
	text string
	// scalar is false for a nested object or array, which text then holds as
	// JSON.
	scalar bool
}

// parseJSON reads a line that is a JSON object.
func (p *parser) parseJSON(line string) (record, bool) {
	trimmed := strings.TrimSpace(line)
	if !strings.HasPrefix(trimmed, "{") {
		return record{}, false
	}
	var values map[string]json.RawMessage
	if json.Unmarshal([]byte(trimmed), &values) != nil {
		return record{}, false
	}
	fields := make(map[string]field, len(values))
	addFields(fields, "", values)
	return p.fromFields(fields), true
}

// addFields adds values under their names, and those of the object "log" as
// log.name, as the Elastic Common Schema does.
func addFields(fields map[string]field, prefix string, values map[string]json.RawMessage) {
	for key, value := range values {
		var nested map[string]json.RawMessage
		if key == "log" && prefix == "" && value[0] == '{' && json.Unmarshal(value, &nested) == nil {
			addFields(fields, "log.", nested)
			continue
		}
		fields[prefix+key] = fieldOf(value)
	}
}

func fieldOf(value json.RawMessage) field {
	switch value[0] {
	case '"':
		var text string
		if json.Unmarshal(value, &text) == nil {
			return field{text, true}
		}
	case '{', '[':
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			return field{compact.String(), false}
		}
	}
	return field{string(value), true}
}

// fromFields makes a record of a line's fields: time, level and message under
// their usual names, and the rest as metadata.
func (p *parser) fromFields(fields map[string]field) record {
	var r record
	keys := slices.Sorted(maps.Keys(fields))
	claim := func(use func(text string) bool, names ...string) {
		for _, name := range names {
			for _, key := range keys {
				f, there := fields[key]
				if there && f.scalar && strings.EqualFold(key, name) && use(f.text) {
					delete(fields, key)
					return
				}
			}
		}
	}
	claim(func(text string) (ok bool) {
		r.time, ok = parseTime(text, p.location, p.now())
		return ok
	}, "time", "timestamp", "ts", "@timestamp", "date", "@t")
	claim(func(text string) bool {
		r.level = canonicalLevel(text)
		return r.level != ""
	}, "level", "severity", "lvl", "log.level", "loglevel", "@l")
	claim(func(text string) bool {
		r.text = strings.TrimRight(text, "\r\n")
		return strings.TrimSpace(r.text) != ""
	}, "msg", "message", "log", "text", "@message", "@m")
	if len(fields) > 0 {
		r.metadata = make(map[string]string, len(fields))
	}
	for key, f := range fields {
		r.metadata[key] = f.text
	}
	return r
}

// parseLogfmt reads a line that consists of key=value pairs, at least one of
// them a level or a message.
func (p *parser) parseLogfmt(line string) (record, bool) {
	if !strings.Contains(line, "level=") && !strings.Contains(line, "lvl=") && !strings.Contains(line, "msg=") {
		return record{}, false
	}
	fields := make(map[string]field)
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \"") {
			return record{}, false
		}
		var value string
		if value, rest, ok = logfmtValue(after); !ok {
			return record{}, false
		}
		fields[key] = field{value, true}
	}
	return p.fromFields(fields), true
}

// logfmtValue splits text after the value that it starts with, which may be in
// double quotes.
func logfmtValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, " ")
		return value, rest, true
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			rest = text[i+1:]
			if rest != "" && rest[0] != ' ' {
				return "", "", false
			}
			return unquote(text[:i+1]), rest, true
		}
	}
	return "", "", false
}

// unquote reads the escapes of a quoted value; one that is not valid JSON is
// taken as it is.
func unquote(quoted string) string {
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil {
		return quoted[1 : len(quoted)-1]
	}
	return text
}
