package emitter

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// field is a value of a structured log line.
type field struct {
	text string
	// scalar is false for an object or array; text then holds its JSON.
	scalar bool
}

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

// addFields adds values by name; members of the object "log" are added as
// log.name, as in the Elastic Common Schema.
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

// fromFields converts fields to a record: time, level and message by their
// usual names, all others as metadata.
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

// parseLogfmt parses a line of key=value pairs with at least a level or a
// message.
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

// logfmtValue splits off the value at the start of text, which may be in double
// quotes.
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

// unquote decodes a quoted value; one that is not valid JSON is returned
// unchanged.
func unquote(quoted string) string {
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil {
		return quoted[1 : len(quoted)-1]
	}
	return text
}
