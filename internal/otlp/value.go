package otlp

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// Value is an AnyValue: the zero value is empty.
type Value struct {
	// Tag is the field that is set, such as ValueString, or 0.
	Tag uint64
	// Number is a bool, an int or the bits of a double; Text is everything else, encoded.
	Number uint64
	Text   []byte
}

// ParseValue parses an AnyValue. What is in arrays and maps it does not check.
func ParseValue(message []byte) (v Value, ok bool) {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch f.Tag {
		case ValueString, ValueArray, ValueMap, ValueBytes:
			v = Value{Tag: f.Tag, Text: f.Text}
		case ValueBool, ValueInt, ValueDouble:
			v = Value{Tag: f.Tag, Number: f.Number}
		}
	}
	return v, !f.Malformed
}

// ParsePair parses a KeyValue.
func ParsePair(message []byte) (key []byte, v Value, ok bool) {
	if key, text, ok := ParseShortPair(message); ok {
		return key, Value{Tag: ValueString, Text: text}, true
	}
	f := protobuf.Fields{Rest: message}
	ok = true
	for f.Next() {
		switch f.Tag {
		case KeyValueKey:
			key = f.Text
		case KeyValueValue:
			var valid bool
			v, valid = ParseValue(f.Text)
			ok = ok && valid
		}
	}
	return key, v, ok && !f.Malformed
}

// ParseShortPair parses a KeyValue of a key and a string, each of less than 128 bytes, which
// most are.
func ParseShortPair(m []byte) (key, text []byte, ok bool) {
	if len(m) < 2 || m[0] != KeyValueKey || m[1] >= 0x80 {
		return nil, nil, false
	}
	at := 2 + int(m[1]) // of the value
	if len(m) < at+4 || m[at] != KeyValueValue || m[at+2] != ValueString {
		return nil, nil, false
	}
	size := int(m[at+3])
	if size >= 0x80 || len(m) != at+4+size || int(m[at+1]) != size+2 {
		return nil, nil, false
	}
	return m[2:at:at], m[at+4 : len(m) : len(m)], true
}

// AppendPlain appends the text of the value, as messages and metadata have it, and returns its
// type, 0 for a string. See packet.TypeInt and the others for the types.
func (v Value) AppendPlain(dst []byte) (_ []byte, kind byte, err error) {
	switch v.Tag {
	case ValueString:
		return append(dst, v.Text...), 0, nil
	case ValueBool:
		return strconv.AppendBool(dst, v.Number != 0), packet.TypeBool, nil
	case ValueInt:
		return strconv.AppendInt(dst, int64(v.Number), 10), packet.TypeInt, nil
	case ValueDouble:
		return appendDouble(dst, math.Float64frombits(v.Number)), packet.TypeDouble, nil
	case ValueBytes:
		return base64.StdEncoding.AppendEncode(dst, v.Text), packet.TypeBytes, nil
	case ValueArray, ValueMap:
		return v.appendNested(dst)
	default:
		return dst, packet.TypeEmpty, nil
	}
}

// appendNested appends an array or a map as plain JSON, or as OTLP/JSON if it has values that
// plain JSON does not have.
func (v Value) appendNested(dst []byte) (_ []byte, kind byte, err error) {
	start := len(dst)
	dst, exact, err := v.appendJSON(dst, 0)
	if err != nil || exact {
		return dst, packet.TypeJSON, err
	}
	dst, err = v.AppendOTLP(dst[:start])
	return dst, packet.TypeOTLP, err
}

// appendDouble appends a double as encoding/json does, or NaN, Infinity and -Infinity.
func appendDouble(dst []byte, number float64) []byte {
	switch absolute := math.Abs(number); {
	case math.IsNaN(number):
		return append(dst, "NaN"...)
	case math.IsInf(number, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(number, -1):
		return append(dst, "-Infinity"...)
	case absolute != 0 && (absolute < 1e-6 || absolute >= 1e21):
		return strconv.AppendFloat(dst, number, 'e', -1, 64)
	default:
		return strconv.AppendFloat(dst, number, 'f', -1, 64)
	}
}

// appendPoint is appendDouble for a number, with a point or an exponent, which an integer has not.
func appendPoint(dst []byte, number float64) []byte {
	start := len(dst)
	if dst = appendDouble(dst, number); !bytes.ContainsAny(dst[start:], ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendJSON appends the value as plain JSON, with bytes that are no UTF-8 as they are; exact is
// false, and the text of no use, if it has
// values that this JSON does not have.
func (v Value) appendJSON(dst []byte, depth int) (_ []byte, exact bool, err error) {
	if depth > MaxDepth {
		return dst, false, ErrTooDeep
	}
	switch v.Tag {
	case ValueString:
		return packet.AppendQuoted(dst, v.Text), true, nil
	case ValueDouble:
		number := math.Float64frombits(v.Number)
		if math.IsNaN(number) || math.IsInf(number, 0) {
			return dst, false, nil
		}
		return appendPoint(dst, number), true, nil
	case ValueBool:
		return strconv.AppendBool(dst, v.Number != 0), true, nil
	case ValueInt:
		return strconv.AppendInt(dst, int64(v.Number), 10), true, nil
	case ValueArray:
		return v.appendItems(dst, depth, '[', ']')
	case ValueMap:
		return v.appendItems(dst, depth, '{', '}')
	case ValueBytes:
		return dst, false, nil
	default:
		return append(dst, "null"...), true, nil
	}
}

func (v Value) appendItems(dst []byte, depth int, begin, end byte) (_ []byte, exact bool, err error) {
	dst = append(dst, begin)
	f := protobuf.Fields{Rest: v.Text}
	for first := true; f.Next(); {
		if f.Tag != ListItems {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		item, ok := Value{}, false
		if v.Tag == ValueMap {
			var key []byte
			if key, item, ok = ParsePair(f.Text); ok {
				dst = append(packet.AppendQuoted(dst, key), ':')
			}
		} else {
			item, ok = ParseValue(f.Text)
		}
		if !ok {
			return dst, false, ErrMalformed
		}
		if dst, exact, err = item.appendJSON(dst, depth+1); err != nil || !exact {
			return dst, exact, err
		}
	}
	if f.Malformed {
		return dst, false, ErrMalformed
	}
	return append(dst, end), true, nil
}

// AppendOTLP appends the value as OTLP/JSON.
func (v Value) AppendOTLP(dst []byte) ([]byte, error) { return v.appendOTLP(dst, 0) }

func (v Value) appendOTLP(dst []byte, depth int) (_ []byte, err error) {
	if depth > MaxDepth {
		return dst, ErrTooDeep
	}
	switch v.Tag {
	case ValueString:
		dst = packet.AppendQuoted(append(dst, `{"stringValue":`...), v.Text)
	case ValueBool:
		dst = strconv.AppendBool(append(dst, `{"boolValue":`...), v.Number != 0)
	case ValueInt:
		dst = strconv.AppendInt(append(dst, `{"intValue":"`...), int64(v.Number), 10)
		dst = append(dst, '"')
	case ValueDouble:
		dst = append(dst, `{"doubleValue":`...)
		number := math.Float64frombits(v.Number)
		if math.IsNaN(number) || math.IsInf(number, 0) {
			dst = append(appendDouble(append(dst, '"'), number), '"')
		} else {
			dst = appendDouble(dst, number)
		}
	case ValueBytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, `{"bytesValue":"`...), v.Text)
		dst = append(dst, '"')
	case ValueArray:
		dst, err = v.appendOTLPItems(append(dst, `{"arrayValue":{"values":[`...), depth)
		dst = append(dst, "]}"...)
	case ValueMap:
		dst, err = v.appendOTLPItems(append(dst, `{"kvlistValue":{"values":[`...), depth)
		dst = append(dst, "]}"...)
	default:
		dst = append(dst, '{')
	}
	return append(dst, '}'), err
}

func (v Value) appendOTLPItems(dst []byte, depth int) (_ []byte, err error) {
	f := protobuf.Fields{Rest: v.Text}
	for first := true; f.Next(); {
		if f.Tag != ListItems {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if v.Tag == ValueArray {
			item, ok := ParseValue(f.Text)
			if !ok {
				return dst, ErrMalformed
			}
			dst, err = item.appendOTLP(dst, depth+1)
		} else {
			key, item, ok := ParsePair(f.Text)
			if !ok {
				return dst, ErrMalformed
			}
			dst = append(packet.AppendQuoted(append(dst, `{"key":`...), key), `,"value":`...)
			dst, err = item.appendOTLP(dst, depth+1)
			dst = append(dst, '}')
		}
		if err != nil {
			return dst, err
		}
	}
	if f.Malformed {
		return dst, ErrMalformed
	}
	return dst, nil
}
