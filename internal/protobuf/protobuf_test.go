package protobuf

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
