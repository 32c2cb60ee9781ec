package native

import (
	"strings"
	"testing"
)

// The rules of a packet for its JSON values.
func TestPacketCases(t *testing.T) {
	ways := serveBothWays(t, standard())
	p := aPacket("p", 0)
	nested := func(depth int) string { // arrays inside the packet, which is one deep
		return `{"x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "," + p[1:]
	}
	with := func(old, new string) string { return strings.Replace(p, old, new, 1) }
	for name, c := range map[string]struct {
		body string
		good bool
	}{
		"plain":                   {p, true},
		"space around":            {" \r\n\t" + p + "\n\n", true},
		"byte order mark":         {"\ufeff" + p, false},
		"NUL behind":              {p + "\x00", false},
		"another behind":          {p + p, false},
		"depth 32":                {nested(32), true},
		"depth 33":                {nested(33), false},
		"escaped key":             {with(`"messages"`, `"\u006dessages"`), true},
		"key twice by an escape":  {`{"\u006dessages":1,` + p[1:], false},
		"key twice":               {`{"packet_id":"q",` + p[1:], false},
		"unknown key twice":       {`{"a":1,"a":2,` + p[1:], true},
		"key in another case":     {with(`"messages"`, `"Messages"`), false},
		"both cases":              {`{"Messages":1,` + p[1:], true},
		"id of 1024 bytes":        {named(strings.Repeat("a", 1024), p), true},
		"id of 1025 bytes":        {named(strings.Repeat("a", 1025), p), false},
		"id of 1024, escaped":     {named(strings.Repeat(`\u0061`, 1024), p), true},
		"id of 1025, escaped":     {named(strings.Repeat(`\u0061`, 1025), p), false},
		"metadata null":           {with(`"level"`, `"metadata":null,"level"`), true},
		"metadata with null":      {with(`"level"`, `"metadata":{"a":null,"a":"b"},"level"`), true},
		"metadata a number":       {with(`"level"`, `"metadata":1,"level"`), false},
		"metadata with an object": {with(`"level"`, `"metadata":{"a":{}},"level"`), false},
		"metadata twice":          {with(`"level"`, `"metadata":null,"metadata":null,"level"`), false},
		"longest timestamp":       {with(`:1,`, `:9223372036854775807,`), true},
		"timestamp too long":      {with(`:1,`, `:9223372036854775808,`), false},
	} {
		want := expectation{status: 400}
		if c.good {
			want = wantStored(c.body)
		}
		for _, w := range ways {
			w.check(t, name, c.body, want, jsonType)
		}
	}
}
