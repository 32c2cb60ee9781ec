package jsontext

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// checkIndex compares an index with Valid and Members.
func checkIndex(t *testing.T, x *Index, text []byte) {
	t.Helper()
	want, wantErr := Valid(text)
	value, err := x.Read(text)
	if !bytes.Equal(value, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q: %q %v, want %q %v", text, value, err, want, wantErr)
	}
	members, all := x.Members()
	if err != nil {
		if all {
			t.Fatalf("%q is not valid, and all of its members are listed", text)
		}
		return
	}
	listed := appendWalked(nil, value)
	if all != (len(listed) <= maxListed) {
		t.Fatalf("%.200q: %d members, all listed: %t", text, len(listed), all)
	}
	if !all {
		return
	}
	var got []string
	for n := range members {
		m := &members[n]
		got = append(got, fmt.Sprintf("%s %s %d", x.Name(m), x.Value(m), m.Inner))
	}
	if !slices.Equal(got, listed) {
		t.Fatalf("%q: %q, want %q", text, got, listed)
	}
}

// appendWalked appends the members of an object, and those of objects in it, as Members has them.
func appendWalked(to []string, value []byte) []string {
	if KindOf(value) != Object {
		return to
	}
	for name, member := range Members(value) {
		at := len(to)
		to = appendWalked(append(to, ""), member)
		to[at] = fmt.Sprintf("%s %s %d", name, member, len(to)-at-1)
	}
	return to
}

// An index has the members that Members yields, whatever text it had before, in bounded memory.
func TestIndex(t *testing.T) {
	var x Index
	full := `{"o":{` + strings.Repeat(`"":0,`, maxListed-2) + `"":1}}`
	for _, text := range append(texts, full, strings.Replace(full, `"":1`, `"":1,"":2`, 1), `{"a":[{"b":{"c":1}}],"d":{"e":{}}}`, strings.Repeat(`{"a":`, 100)+`1`+strings.Repeat(`}`, 100)) {
		checkIndex(t, &x, []byte(text))
		checkIndex(t, &x, []byte(`{"x":{"a":`+text+`},"b":`+text+`}`))
	}
	if held := cap(x.members) * int(unsafe.Sizeof(x.members[0])); held > 2*maxListedBytes {
		t.Errorf("an index holds %d bytes", held)
	}
}
