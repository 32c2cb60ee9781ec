package record

import (
	"slices"
	"testing"
	"time"
)

// The identity of a message depends on its values, names and types, not on the order of members.
func TestIdentity(t *testing.T) {
	fields := NewDocumentFields("host")
	var identity Identity
	of := func(text string) string {
		var d Document
		var m Message
		if _, err := d.Parse([]byte(text), fields); err != nil {
			t.Fatal(err)
		}
		m.beginAt(1, time.UnixMilli(1))
		d.AddTo(&m)
		return string(identity.Append(nil, &m))
	}
	first := of(`{"message":"m","level":"warn","a":{"x":1,"y":"q\"\\"},"b":true,"c":[1,2]}`)
	for text, equal := range map[string]bool{
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":1},"level":"warn","message":"m"}`:   true,
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":2},"level":"warn","message":"m"}`:   false,
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":"1"},"level":"warn","message":"m"}`: false,
		`{"c":[1,2],"b":true,"a":{"x":"q\"\\","y":1},"level":"warn","message":"m"}`:   false,
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":1},"level":"info","message":"m"}`:   false,
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":1},"level":"warn","message":"n"}`:   false,
		`{"c":[1,2],"b":true,"a":{"y":"q\"\\","x":1},"level":"warn"}`:                 false,
	} {
		if got := of(text); (got == first) != equal {
			t.Errorf("%s: %s, and %s", text, got, first)
		}
	}
	if text := of(`{"message":"5"}`); text == of(`{"message":5}`) {
		t.Errorf("a text is as a number: %s", text)
	}
	if kept := identity.members[:cap(identity.members)]; slices.ContainsFunc(kept, func(one []byte) bool { return one != nil }) {
		t.Errorf("members are kept: %q", kept)
	}
}
