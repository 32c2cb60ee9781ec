// Package gelf translates Graylog's extended log format.
package gelf

import (
	"errors"
	"net/netip"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// errNoObject is that a payload is JSON, but no record.
var errNoObject = errors.New("a GELF record must be a JSON object")

// fields are the members of records that set more than metadata. Additional fields begin with an
// underscore.
var fields = record.NewDocumentFields("version", "timestamp",
	"_service", "_sourcetype", "_source", "host", "_host", "_hostname", "facility")

const (
	fieldVersion = iota
	fieldTimestamp
	fieldService
	fieldSourcetype
	fieldSource
	fieldHost
	fieldAddedHost
	fieldHostname
	fieldFacility
)

var (
	services  = []int{fieldService, fieldSourcetype, fieldSource}
	instances = []int{fieldHost, fieldAddedHost, fieldHostname}
)

// Translator translates records. The zero value is ready; it is reused, and must not be used
// concurrently.
type Translator struct {
	document record.Document
	message  record.Message
}

// Translated is a record whose message is complete.
type Translated struct {
	// Message and Emitter are valid until the next record.
	Message *record.Message
	Emitter []byte
	// Timed means that the record has a timestamp of its own, Skewed that it is far off.
	Timed, Skewed bool
}

// Translate translates one record, a JSON object as it comes decompressed from a sender, that
// arrived at a time. It is lenient: no member is required, and what has an unexpected type is
// metadata.
func (t *Translator) Translate(text []byte, sender netip.Addr, arrival time.Time) (Translated, error) {
	d, m := &t.document, &t.message
	switch isObject, err := d.Parse(text, fields); {
	case err != nil:
		return Translated{}, err
	case !isObject:
		return Translated{}, errNoObject
	}
	nano, timed := record.ParseTime(d.Text(fieldTimestamp))
	skewed := m.BeginAt(nano, arrival)
	if timed {
		d.Use(d.Value(fieldTimestamp))
	}
	d.Use(d.Value(fieldVersion))
	m.SetString("input", "gelf")
	emitter := d.Emitter(services, instances, sender)
	if facility := d.Text(fieldFacility); len(facility) > 0 {
		m.Set("facility", facility)
		d.Use(d.Value(fieldFacility))
	}
	if d.SetTo(m) {
		for name, value := range d.Unused() {
			m.AddJSON(withoutUnderscore(name), value)
		}
	}
	return Translated{m, emitter, timed, skewed}, nil
}

// Trim releases memory that a large record needed.
func (t *Translator) Trim() { t.message.Trim() }

// withoutUnderscore returns the name of an additional field as its sender named it, unless
// another field has that name.
func withoutUnderscore(name []byte) []byte {
	if len(name) < 2 || name[0] != '_' {
		return name
	}
	switch string(name[1:]) {
	case "version", "host", "short_message", "full_message", "timestamp", "level", "facility", "line", "file":
		return name
	default:
		return name[1:]
	}
}
