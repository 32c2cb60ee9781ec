package otlp

import (
	"slices"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// Messages are strict if any receiver reads the same from them: they have known fields only,
// those that are no lists once, and texts that are UTF-8.

// IsStrictObject reports whether a Resource or an InstrumentationScope is strict. The tags are
// those of its attributes and its other fields.
func IsStrictObject(message []byte, attributes uint64, others ...uint64) bool {
	seen := onlyOnce(0)
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch {
		case f.Tag == attributes:
			if !IsStrictPair(f.Text) {
				return false
			}
		case !slices.Contains(others, f.Tag) || !seen.add(f.Tag) || f.Tag&7 == protobuf.Bytes && !utf8.Valid(f.Text):
			return false
		}
	}
	return !f.Malformed
}

// onlyOnce is the set of fields of a message that were read, by number.
type onlyOnce uint64

// add reports whether the field was not read before.
func (o *onlyOnce) add(tag uint64) bool {
	bit := onlyOnce(1) << (tag >> 3 & 63)
	added := *o&bit == 0
	*o |= bit
	return added
}

// IsStrictPair reports whether a KeyValue is strict.
func IsStrictPair(message []byte) bool { return isStrictPair(message, 0) }

func isStrictPair(message []byte, depth int) bool {
	seen := onlyOnce(0)
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		switch {
		case !seen.add(f.Tag):
			return false
		case f.Tag == KeyValueKey && utf8.Valid(f.Text):
		case f.Tag == KeyValueValue && isStrictValue(f.Text, depth):
		default:
			return false
		}
	}
	return !f.Malformed
}

// IsStrictValue reports whether an AnyValue is strict.
func IsStrictValue(message []byte) bool { return isStrictValue(message, 0) }

func isStrictValue(message []byte, depth int) bool {
	if len(message) == 0 {
		return true
	}
	f := protobuf.Fields{Rest: message}
	if !f.Next() || len(f.Rest) > 0 || depth > MaxDepth {
		return false
	}
	switch f.Tag {
	case ValueString:
		return utf8.Valid(f.Text)
	case ValueBool, ValueInt, ValueDouble, ValueBytes:
		return true
	case ValueArray:
		return isStrictList(f.Text, depth, isStrictValue)
	case ValueMap:
		return isStrictList(f.Text, depth, isStrictPair)
	default:
		return false
	}
}

func isStrictList(message []byte, depth int, isStrict func([]byte, int) bool) bool {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		if f.Tag != ListItems || !isStrict(f.Text, depth+1) {
			return false
		}
	}
	return !f.Malformed
}
