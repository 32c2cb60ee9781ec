// Package gelf translates Graylog's extended log format.
package gelf

import (
	"errors"
	"net/netip"

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

// translator translates records, JSON objects as they come decompressed from a sender. It is lenient:
// no member is required, and what has an unexpected type is metadata. It is reused, and must not be
// used concurrently.
type translator struct {
	document record.Document
	message  record.Message
}

// trim releases memory that a large record needed.
func (t *translator) trim() {
	t.document.Trim()
	t.message.Trim()
}

// read reads a record, and returns its time in nanoseconds since 1970, or 0. The message begins with
// that time.
func (t *translator) read(text []byte) (nano int64, err error) {
	d := &t.document
	switch isObject, err := d.Parse(text, fields); {
	case err != nil:
		return 0, err
	case !isObject:
		return 0, errNoObject
	}
	nano, from := d.Time(fieldTimestamp)
	d.Use(from)
	return nano, nil
}

// fill adds the record to the message, which has begun, and returns the emitter, which is valid until
// the next record.
func (t *translator) fill(sender netip.Addr) (emitter []byte) {
	d, m := &t.document, &t.message
	d.Use(d.Value(fieldVersion))
	m.SetString("input", "gelf")
	emitter = d.Emitter(services, instances, sender)
	if facility := d.Text(fieldFacility); len(facility) > 0 {
		m.Set("facility", facility)
		d.Use(d.Value(fieldFacility))
	}
	if d.SetTo(m) {
		for name, value := range d.Unused() {
			m.AddJSON(withoutUnderscore(name), value)
		}
	}
	return emitter
}

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
