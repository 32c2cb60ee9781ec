package otlp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// slowFields returns the fields of a message as next reads them.
func slowFields(message []byte) (all []Fields, ok bool) {
	f := Fields{Rest: message}
	for f.next() {
		all = append(all, f)
	}
	return all, !f.Malformed
}

// What is read in one step is what is read step by step, of any bytes.
func TestShortFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SliceOf(rapid.SampledFrom([]byte{0, 1, 2, 3, 8, 9, 0x0a, 0x12, 0x0d, 0x7f, 0x80, 0xff})).Draw(t, "message")
		want, valid := slowFields(message)
		f := Fields{Rest: message}
		for n := 0; f.Next(); n++ {
			if n >= len(want) || f.Tag != want[n].Tag || !bytes.Equal(f.Rest, want[n].Rest) || f.Tag&7 == Bytes && !bytes.Equal(f.Text, want[n].Text) {
				t.Fatalf("field %d is %+v, want one of %+v", n, f, want)
			}
		}
		if f.Malformed == valid {
			t.Fatalf("malformed: %v", f.Malformed)
		}
	})
}

func TestPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, text := rapid.SliceOfN(rapid.Byte(), 0, 140).Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 140).Draw(t, "text")
		field := AppendStringPair(nil, ResourceAttributes, key, text)
		plain, begin := Open(nil, ResourceAttributes)
		plain = AppendText(plain, KeyValueKey, key)
		plain, value := Open(plain, KeyValueValue)
		plain = Close(Close(AppendText(plain, ValueString, text), value), begin)
		if !bytes.Equal(field, plain) {
			t.Fatalf("%x, want %x", field, plain)
		}
		f := Fields{Rest: field}
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
			fields, valid := slowFields(changed)
			if !valid || len(fields) != 2 || !bytes.Equal(fields[0].Text, key) || fields[0].Tag != KeyValueKey || fields[1].Tag != KeyValueValue {
				t.Fatalf("%x has %+v", changed, fields)
			}
			if value, ok := ParseValue(fields[1].Text); !ok || value.Tag != ValueString || !bytes.Equal(value.Text, text) {
				t.Fatalf("%x has the value %+v", changed, value)
			}
		}
	})
}
