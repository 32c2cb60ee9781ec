package loki

import (
	"slices"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink/record"
)

// maxLabelBytes is the default limit of Loki for the value of a label.
const maxLabelBytes = 2048

// label is one label of streams.
type label struct {
	name  string // of the label
	field string // empty for level and service_name
}

// labels writes the labels of records. It must not be used concurrently.
type labels struct {
	all  []label // by name, as Loki sorts them
	text []byte
	// unknownLevel means that the level of the last record is no usual name, so that the
	// label is "unknown": emitters cannot make streams without end.
	unknownLevel bool
}

func newLabels(fields []string) *labels {
	l := &labels{all: []label{{name: "level"}, {name: "service_name"}}}
	for _, field := range fields {
		l.all = append(l.all, label{labelName(field), field})
	}
	slices.SortStableFunc(l.all, func(a, b label) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	l.all = slices.CompactFunc(l.all, func(a, b label) bool { return a.name == b.name })
	return l
}

// take returns the labels of a record as Loki writes them, valid until the next call, and
// takes the fields that they contain out of the record.
func (l *labels) take(r *record.Reader) []byte {
	l.text = append(l.text[:0], '{')
	for _, one := range l.all {
		switch one.name {
		case "level":
			l.append(one.name, l.level(r))
		case "service_name":
			if len(r.Service) <= maxLabelBytes {
				l.append(one.name, r.Service)
				l.takeField(r, "service.name", r.Service)
			}
		default:
			if value := l.fieldValue(r, one.field); value != nil {
				l.append(one.name, value)
			}
		}
	}
	l.text = append(l.text, '}')
	return l.text
}

func (l *labels) append(name string, value []byte) {
	if len(value) == 0 {
		return // as if there were no such label
	}
	if len(l.text) > 1 {
		l.text = append(l.text, ", "...)
	}
	l.text = append(append(l.text, name...), '=')
	l.text = strconv.AppendQuote(l.text, string(value))
}

func (l *labels) level(r *record.Reader) []byte {
	text := r.Message.Level.Decoded(nil, r.Body)
	if _, known := packet.ParseLevel(text); !known {
		l.unknownLevel = true
		return []byte("unknown")
	}
	l.unknownLevel = false
	return text
}

// takeField takes a field with this value out of the record.
func (l *labels) takeField(r *record.Reader, name string, value []byte) {
	at := slices.IndexFunc(r.Fields, func(f record.Field) bool { return string(f.Name) == name })
	if at >= 0 && string(r.Fields[at].Value.Decoded(nil, r.Body)) == string(value) {
		r.Fields = slices.Delete(r.Fields, at, at+1)
	}
}

// fieldValue returns the value of a field and takes it out of the record, unless there is
// none that a label can have.
func (l *labels) fieldValue(r *record.Reader, name string) []byte {
	at := slices.IndexFunc(r.Fields, func(f record.Field) bool { return string(f.Name) == name })
	if at < 0 {
		return nil
	}
	value := r.Fields[at].Value.Decoded(nil, r.Body)
	if len(value) == 0 || len(value) > maxLabelBytes {
		return nil
	}
	r.Fields = slices.Delete(r.Fields, at, at+1)
	return value
}
