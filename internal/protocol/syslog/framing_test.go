package syslog

import (
	"reflect"
	"strings"
	"testing"
)

// frames splits a stream that arrives in parts of a size.
func frames(stream string, size, maxFrame int) (got []string, rest string, tooLarge int) {
	var s splitter
	var held []byte
	for start := 0; start < len(stream) || start == 0; start += size {
		held = append(held, stream[start:min(start+size, len(stream))]...)
		ended := start+size >= len(stream)
		used := s.split(held, ended, maxFrame, func(content []byte) { got = append(got, string(content)) })
		held = held[used:]
	}
	return got, string(held), s.tooLarge
}

func TestFraming(t *testing.T) {
	long := strings.Repeat("x", 50)
	for stream, c := range map[string]struct {
		want     []string
		rest     string
		tooLarge int
	}{
		"<1>a\n<2>b\n":             {want: []string{"<1>a", "<2>b"}},
		"<1>a\r\n<2>b":             {want: []string{"<1>a", "<2>b"}},
		"<1>a\x00<2>b\x00":         {want: []string{"<1>a", "<2>b"}},
		"4 <1>a5 <2>b\n":           {want: []string{"<1>a", "<2>b"}}, // LF within the count
		"4 <1>a<2>b\n4 <3>c\n":     {want: []string{"<1>a", "<2>b", "<3>c", ""}},
		"7 <1>a\nbc<2>d\n":         {want: []string{"<1>a\nbc", "<2>d"}},
		"2026-11-29 x\n<1>a\n":     {want: []string{"2026-11-29 x", "<1>a"}},
		"no priority\n":            {want: []string{"no priority"}},
		"12345678901 <1>a\n":       {want: []string{"12345678901 <1>a"}},
		"12":                       {want: []string{"12"}},
		"9 <1>a":                   {rest: "9 <1>a"},
		"<1>" + long + "\n<2>b\n":  {want: []string{"<2>b"}, tooLarge: 1},
		"<1>" + long:               {tooLarge: 1},
		"53 <1>" + long + "4 <2>b": {want: []string{"<2>b"}, tooLarge: 1},
		"53 <1>" + long[:20]:       {tooLarge: 1},
		"":                         {},
	} {
		for _, size := range []int{1, 2, 3, 7, 100} {
			got, rest, tooLarge := frames(stream, size, 30)
			if !reflect.DeepEqual(got, c.want) || rest != c.rest || tooLarge != c.tooLarge {
				t.Errorf("%q in parts of %d: %q, the rest is %q, %d are too large", stream, size, got, rest, tooLarge)
			}
		}
	}
}
