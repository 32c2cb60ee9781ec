package otlp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// fieldsOf returns the fields of a message.
func fieldsOf(message []byte) (all []protobuf.Fields, ok bool) {
	f := protobuf.Fields{Rest: message}
	for f.Next() {
		all = append(all, f)
	}
	return all, !f.Malformed
}

func TestPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, text := rapid.SliceOfN(rapid.Byte(), 0, 140).Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 140).Draw(t, "text")
		field := AppendStringPair(nil, ResourceAttributes, key, text)
		plain, begin := protobuf.Open(nil, ResourceAttributes)
		plain = protobuf.AppendText(plain, KeyValueKey, key)
		plain, value := protobuf.Open(plain, KeyValueValue)
		plain = protobuf.Close(protobuf.Close(protobuf.AppendText(plain, ValueString, text), value), begin)
		if !bytes.Equal(field, plain) {
			t.Fatalf("%x, want %x", field, plain)
		}
		f := protobuf.Fields{Rest: field}
		f.Next()
		gotKey, got, ok := ParsePair(f.Text)
		if !ok || !bytes.Equal(gotKey, key) || got.Tag != ValueString || !bytes.Equal(got.Text, text) {
			t.Fatalf("%q is %q, %v", gotKey, got.Text, ok)
		}
		// A changed message is what its fields say.
		changed := bytes.Clone(f.Text)
		at := rapid.IntRange(0, min(6, len(changed)-1)).Draw(t, "at")
		changed[at] = rapid.SampledFrom([]byte{0x0a, 0x12, 0, 1, 0x80, changed[at] + 1}).Draw(t, "byte")
		if key, text, short := ParseShortPair(changed); short {
			fields, valid := fieldsOf(changed)
			if !valid || len(fields) != 2 || !bytes.Equal(fields[0].Text, key) || fields[0].Tag != KeyValueKey || fields[1].Tag != KeyValueValue {
				t.Fatalf("%x has %+v", changed, fields)
			}
			if value, ok := ParseValue(fields[1].Text); !ok || value.Tag != ValueString || !bytes.Equal(value.Text, text) {
				t.Fatalf("%x has the value %+v", changed, value)
			}
		}
	})
}
