package jsontext

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var texts = []string{
	``, ` `, `null`, ` true `, `false`, `tru`, `nul`, `0`, `-0`, `01`, `-`, `1.`, `.5`, `1.5e+10`, `1e`, `1E-3`, `-12`, `+1`,
	`""`, `"a`, `"\`, `"\u12`, `"\u12G4"`, `"\x"`, `"a\"b\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`, `"\ud800\ud800"`, "\"a\nb\"",
	"\"\xff\"", `"12345678\"12345678"`, `"12345678\\"`,
	`{}`, `{ }`, `[]`, `[ ]`, `{"a":1}`, ` { "a" : 1 , "b" : [ 1 , "x y" , { } ] } `, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`,
	`[1,]`, `[,1]`, `[1 2]`, `[`, `{`, `{"a":[{"b":[]}]}`, `1 2`, `{"a":1}}`, `["]","}"]`,
	strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
}

// A text is valid if encoding/json says so.
func TestValid(t *testing.T) {
	for _, text := range texts {
		check(t, []byte(text))
	}
	deep := strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	if _, err := Valid([]byte(deep)); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("deep: %v", err)
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(check)
}

func check(t *testing.T, text []byte) {
	checkIndex(t, new(Index), text)
	value, err := Valid(text)
	if valid := json.Valid(text); valid != (err == nil) {
		if valid && depth(text) > MaxDepth {
			return
		}
		t.Fatalf("%q: %v", text, err)
	}
	if err != nil {
		return
	}
	var want bytes.Buffer
	_ = json.Compact(&want, text)
	if got := AppendCompact(nil, value); !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%q: compact is %q, want %q", text, got, want.Bytes())
	}
	if !utf8.Valid(text) {
		return // encoding/json replaces it, this package leaves it to the caller
	}
	compare(t, value)
}

var escapes = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\.`)

// hasHalfPair reports whether encoding/json reads a U+FFFD that is not in the string.
func hasHalfPair(t *testing.T, value []byte) bool {
	without := escapes.ReplaceAllFunc(bytes.ReplaceAll(value, []byte("\ufffd"), []byte("x")), func(escape []byte) []byte {
		if strings.EqualFold(string(escape), `\ufffd`) {
			return []byte("x")
		}
		return escape
	})
	var text string
	if err := json.Unmarshal(without, &text); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(text, "\ufffd")
}

// compare compares a value with the value that encoding/json reads.
func compare(t *testing.T, value []byte) {
	switch KindOf(value) {
	case String:
		var want string
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatal(err)
		}
		if got := HasHalfPair(Content(value)); got != hasHalfPair(t, value) {
			t.Fatalf("%q has half a pair: %v", value, got)
		}
		if got := Decoded(Content(value), nil); string(got) != want {
			t.Fatalf("%q is %q, want %q", value, got, want)
		}
	case Object:
		compareObject(t, value)
	case Array:
		var want []json.RawMessage
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for element := range Elements(value) {
			if !bytes.Equal(element, want[n]) {
				t.Fatalf("%q: element %d is %q, want %q", value, n, element, want[n])
			}
			compare(t, element)
			n++
		}
		if n != len(want) || IsEmpty(value) != (n == 0) {
			t.Fatalf("%q has %d elements, want %d", value, n, len(want))
		}
	}
}

func compareObject(t *testing.T, value []byte) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(value, &want); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]byte)
	for name, member := range Members(value) {
		got[string(AppendDecoded(nil, name))] = member
		compare(t, member)
	}
	for name, member := range want {
		if !bytes.Equal(got[name], member) {
			t.Fatalf("%q: %q is %q, want %q", value, name, got[name], member)
		}
	}
	if len(got) != len(want) || IsEmpty(value) != (len(got) == 0) {
		t.Fatalf("%q has %d names, want %d", value, len(got), len(want))
	}
}

// depth counts brackets, which is at least the depth.
func depth(text []byte) int { return bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{")) }
