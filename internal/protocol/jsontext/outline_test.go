package jsontext

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzOutline reads a text after another text, whose outline it may have.
func FuzzOutline(f *testing.F) {
	for _, c := range [][2]string{
		{`{"a":"x","b":{"c":1,"d":[true]},"e":null}`, `{"a":"longer","b":{"c":-2.5e3,"d":[]},"e":"f"}`},
		{` {"a" : 1, "o":{"p":{"q":""}} , "z":0}	`, ` {"a" : "\"", "o":{"p":{"q":[[{"x":1}]]}} , "z":false}	`},
		{`{"a":1}`, `{"a":{}}`}, {`{"a":{}}`, `{"a":{}}`}, {`{"a":1}`, `{"a":1,"b":2}`}, {`{"a":1,"a":2}`, `{"a":"","a":"x"}`}, {`{"a":1}`, `{"a":1x}`},
		{`{"a":1}`, `{"a": 1}`}, {`{"a":"b"}`, `{"a":"\x"}`}, {`{"a":[1]}`, `{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`},
		{`{"a":[1]}`, `{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`}, {`{"a":1}`, `{"a":`}, {`{}`, `{}`}, {`[1]`, `[2]`}, {`{"a":1}`, `{"a":1} `},
	} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var x Index
		for _, text := range [][]byte{first, second, first, second, second} {
			checkIndex(t, &x, text)
		}
	})
}

// Texts that differ in their values only have one outline, and are read with it.
func TestOutline(t *testing.T) {
	var x Index
	text := func(n int) []byte {
		return fmt.Appendf(nil, `{"a":%d,"o":{"b":"%s","p":{"c":[%d]}},"d":null}`, n, strings.Repeat("x", n), n)
	}
	for n := range 12 {
		checkIndex(t, &x, text(n))
		if x.Outline() != 1 || x.outline.number != 1 {
			t.Errorf("text %d has the outline %d of %d", n, x.Outline(), x.outline.number)
		}
	}
	checkIndex(t, &x, []byte(`{"b":1}`))
	if x.Outline() != 2 {
		t.Errorf("another text has the outline %d", x.Outline())
	}
}

// Texts that have nothing in common rarely get an outline.
func TestDifferentTextsGetNoOutline(t *testing.T) {
	const texts = 1000
	var x Index
	for n := range texts {
		checkIndex(t, &x, fmt.Appendf(nil, `{"%d":1}`, n))
	}
	if x.outline.number > texts/maxSkips+10 {
		t.Errorf("%d outlines", x.outline.number)
	}
	checkIndex(t, &x, fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("x", maxOutlined)))
	if x.Outline() != 0 || cap(x.outline.text) > 2*maxOutlined {
		t.Errorf("a large text has the outline %d of %d bytes", x.Outline(), cap(x.outline.text))
	}
}
