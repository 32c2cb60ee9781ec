package record

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// AppendIDs appends emitter_id and packet_id as members of a JSON object, each after a comma.
func (r *Reader) AppendIDs(dst []byte) []byte {
	dst = append(dst, `,"emitter_id":`...)
	dst = r.EmitterID.AppendJSON(dst, r.Body)
	dst = append(dst, `,"packet_id":`...)
	return r.PacketID.AppendJSON(dst, r.Body)
}

// AppendStrings appends the fields as members of a JSON object, each after a comma, with
// strings as values. Nulls are left out.
func (r *Reader) AppendStrings(dst []byte) []byte {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Null {
			continue
		}
		dst = append(dst, ',')
		dst = packet.AppendQuoted(dst, f.Name)
		dst = append(dst, ':')
		dst = f.Value.AppendJSON(dst, r.Body)
	}
	return dst
}

// AppendTime appends a time in nanoseconds as RFC 3339 in UTC, with all digits that are not 0.
func AppendTime(dst []byte, nanoseconds int64) []byte {
	return time.Unix(0, nanoseconds).UTC().AppendFormat(dst, time.RFC3339Nano)
}

// AppendTyped is AppendStrings with the types that the values had: numbers, booleans, JSON
// and nulls are written as such, if they are valid.
func (r *Reader) AppendTyped(dst []byte) []byte {
	for i := range r.Fields {
		f := &r.Fields[i]
		dst = append(dst, ',')
		dst = packet.AppendQuoted(dst, f.Name)
		dst = append(dst, ':')
		switch {
		case f.Null || f.Type == packet.TypeEmpty:
			dst = append(dst, "null"...)
		case f.Type != 0:
			dst = r.appendValue(dst, f)
		default:
			dst = f.Value.AppendJSON(dst, r.Body)
		}
	}
	return dst
}

// appendValue appends a value with a type; a string if it is not valid.
func (r *Reader) appendValue(dst []byte, f *Field) []byte {
	start := len(dst)
	value := f.Value.Decoded(dst[start:], r.Body)
	valid := false
	switch f.Type {
	case packet.TypeInt, packet.TypeDouble:
		valid = packet.IsNumber(value)
	case packet.TypeBool:
		valid = string(value) == "true" || string(value) == "false"
	case packet.TypeJSON:
		valid = packet.IsJSON(value)
	}
	if !valid {
		return f.Value.AppendJSON(dst, r.Body)
	}
	return append(dst, value...)
}
