package native

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonTexts are texts that may be JSON values (RFC 8259) or not, with a nesting of at most 20.
func jsonTexts() []string {
	texts := []string{
		`0`, `-0`, `1`, `-1`, `10`, `1.5`, `-0.0`, `1e5`, `1E5`, `1e+5`, `1e-5`, `1.5e300`, `1e999`, `-1e999`, `0e0`, `0.1e-999`,
		`123456789012345678901234567890`, `0.` + strings.Repeat("3", 500), strings.Repeat("9", 500),
		`00`, `01`, `-01`, `-00`, `012`, `+1`, `.5`, `-.5`, `1.`, `-1.`, `1.e1`, `1e`, `1e+`, `1E-`, `1ee1`, `1e1.5`, `--1`, `-`, `+`, `- 1`, `1 2`, `1_000`,
		`0x10`, `0X1F`, `0b1`, `0o7`, `1f`, `1L`, `1n`, `NaN`, `nan`, `-NaN`, `Infinity`, `-Infinity`, `Inf`, "１", `1,5`, `1e٣`, `0.0.0`, `1-1`, `1+1`,
		`true`, `false`, `null`, `True`, `FALSE`, `NULL`, `nul`, `tru`, `fals`, `truee`, `nulll`, `true false`, `undefined`, `None`, `nil`, `t`, `n`, `f`,
		`""`, `"a"`, `"\""`, `"\\"`, `"\/"`, `"\b\f\n\r\t"`, `"\u0000"`, `"\u0041"`, `"\uABCD"`, `"\uabcd"`, `"\u007f"`, `"\u2028\u2029"`,
		`"\ud83d\ude00"`, `"\uD83D\uDE00"`, `"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800a"`, `"\ufffe"`, `"\uffff"`, `"\ufeff"`,
		`"\a"`, `"\v"`, `"\x41"`, `"\0"`, `"\'"`, `"\U00000041"`, `"\u"`, `"\u1"`, `"\u12"`, `"\u123"`, `"\u123g"`, `"\u{41}"`, `"\u 041"`, `"\u+041"`, `"\u00-1"`,
		`"\`, `"\"`, `"`, `"a`, `a"`, `'a'`, `'`, "`a`", `"a" "b"`, `"a""b"`, `"a"b`, `\u0022a"`, `“a”`, `"\é"`, "\"\\\n\"", "\"\\\x00\"", `"\\\"`, `"\\\\"`,
		"\"\x7f\"", "\"\u0080\"", "\"é€😀\"", "\"\ufffe\uffff\"", "\"\U0010ffff\"", "\"\ufdd0\"", "\"\ufeff\"", "\"\u2028\u2029\"", "\"\ufffd\"", "\"e\u0301\"",
		"\"\xff\"", "\"\xfe\"", "\"\x80\"", "\"\xbf\"", "\"\xc0\x80\"", "\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\xaf\"", "\"\xe0\x9f\xbf\"", "\"\xf0\x80\x80\xaf\"",
		"\"\xf0\x8f\xbf\xbf\"", "\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"", "\"\xed\xa0\xbd\xed\xb8\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"",
		"\"\xf8\x88\x80\x80\x80\"", "\"\xfc\x84\x80\x80\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\xf0\x9f\x98\"", "\"\xc3(\"", "\"\xe2(\xa1\"", "\xff", "\xc3\xa9",
		`[]`, `[1]`, `[1,2]`, `[ 1 , 2 ]`, `[[]]`, `[{}]`, `[1,]`, `[,1]`, `[1,,2]`, `[,]`, `[`, `]`, `[1`, `1]`, `[1}`, `[1;2]`, `[1 2]`, `[1:2]`, `["a":1]`, `[]]`, `[[]`, `[] []`, `[...]`, `[1,2,...]`,
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"":0}`, `{"\u0061":1}`, `{ "a" : 1 , "b" : 2 }`, `{"a":{"b":[{}]}}`, `{"timestamp":1,"timestamp":2}`, `{"messages":0,"messages":0}`,
		`{"a"}`, `{"a":}`, `{:1}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{null:1}`, `{"a" 1}`, `{"a",1}`, `{"a"=1}`, `{"a"::1}`, `{"a":1 "b":2}`,
		`{"a":1;"b":2}`, `{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1]`, `{]`, `[}`, `{{}}`, `{[]:1}`, `{}{}`, `{"a\ud800":1}`, "{\"\xff\":1}", `{"a":"b"}}`,
		``, ` `, `1/**/`, `/**/1`, `1//`, `#1`, `1#`, `*`, `,`, `:`, `;`, `<null>`, `@`, `\`, "1\x00", "\x001", "\ufeff1", "1\ufeff", "\u00a01", "1\u2003", "\f1", "1\v", "\u20601", "1\x1a",
		" 1 ", "\t1\t", "\n1\n", "\r\n1\r\n", strings.Repeat("[", 20) + strings.Repeat("]", 20), strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20),
	}
	for c := range 0x20 {
		texts = append(texts, `"`+string(rune(c))+`"`)
	}
	return texts
}

func lenient(text string) bool { return utf8.ValidString(text) && json.Valid([]byte(text)) }

func isString(text string, empty bool) bool {
	var s string
	value := strings.Trim(text, " \t\r\n")
	return lenient(text) && strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(text), &s) == nil && (empty || s != "")
}

func isTimestamp(text string) bool {
	var n int64
	return lenient(text) && strings.Trim(text, " \t\r\n") != "null" && json.Unmarshal([]byte(text), &n) == nil && n > 0
}

// jsonRole is a place in a packet for a text, and the rule for the values there.
type jsonRole struct {
	name, form string // with %s for the text
	allowed    func(text string) bool
}

func jsonRoles() []jsonRole {
	const head, tail = `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"`, `}]}`
	filled := func(text string) bool { return isString(text, false) }
	id := func(text string) bool {
		lone := false
		for _, half := range []string{`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800a"`} {
			lone = lone || text == half
		}
		return filled(text) && !lone
	}
	return []jsonRole{
		{"body", "%s", func(string) bool { return false }},
		{"unknown in packet", `{"x":%s,` + head[1:] + tail, lenient},
		{"unknown at the end", head + `}],"x":%s}`, lenient},
		{"unknown in message", head + `,"x":%s` + tail, lenient},
		{"element", head + `,"x":[0,%s,1]` + tail, func(text string) bool {
			return lenient(text) || text == "1,5" // two elements
		}},
		{"metadata value", head + `,"metadata":{"k":%s}` + tail, func(text string) bool {
			return isString(text, true) || text == "null"
		}},
		{"emitter_id", `{"emitter_id":%s,"packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, id},
		{"packet_id", `{"emitter_id":"e","packet_id":%s,"messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, id},
		{"message", `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":%s}]}`, filled},
		{"level", `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":%s,"message":"m"}]}`, filled},
		{"timestamp", `{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":%s,"level":"INFO","message":"m"}]}`, isTimestamp},
	}
}

func TestJSONCases(t *testing.T) {
	ways := serveBothWays(t, standard())
	for _, role := range jsonRoles() {
		for _, text := range jsonTexts() {
			body := fmt.Sprintf(role.form, text)
			want := expectation{status: 400}
			if role.allowed(text) {
				want = wantStored(body)
			}
			for _, w := range ways {
				w.check(t, fmt.Sprintf("%s %.60q", role.name, text), body, want, jsonType)
			}
		}
	}
}
