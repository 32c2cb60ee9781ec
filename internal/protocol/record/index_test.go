package record

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// messageOf returns the message of a document, and what is found in it.
func messageOf(text []byte, read func(d *Document)) string {
	var d Document
	var m Message
	read(&d)
	m.Begin(1)
	emitter := d.Text(0, 1, 2)
	found := fmt.Sprintf("%q %q", emitter, d.values)
	d.AddTo(&m)
	size := m.complete()
	encoded, level := m.append(nil)
	return fmt.Sprintf("%d %t %v %s %s", size, m.tooLarge, level, encoded, found)
}

// FuzzIndex compares a document whose members are listed with one that is walked through, since
// it has too many.
func FuzzIndex(f *testing.F) {
	for _, text := range []string{
		`{"message":"m","level":"warn","service":{"name":"s","a":{"b":[{"c":1}],"d":{}}},"host":{"x":1,"name":"h"}}`,
		` { "log" : { "level" : "fatal" , "x" : null } , "event" : { "original" : "\u0041" } , "input" : true , "a\u0062" : 1e5 } `,
		`{"host":{"name":{"name":1}},"host":"h","service.name":"","":{"":{"":1}},"message":{"a":"` + "\xff" + `"}}`,
		`{"message":"","a":` + strings.Repeat(`{"`+strings.Repeat("n", 20)+`":`, 20) + `1` + strings.Repeat("}", 21),
		`{"message":"m","a":` + strings.Repeat(`{"n":`, 20) + `1` + strings.Repeat("}", 21),
		`{}`, `[{"message":"m"}]`, `{"message":"m"`, `{"message":"m"}x`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if isObject, err := new(Document).Parse(text, testFields); !isObject || err != nil {
			return
		}
		listed := messageOf(text, func(d *Document) { _, _ = d.Parse(text, testFields) })
		walked := messageOf(text, func(d *Document) {
			object, _ := d.index.Read(text)
			_, _ = d.index.Read(nil) // lists none
			d.find(object, testFields)
		})
		if listed != walked {
			t.Errorf("%q:\n%s, want\n%s", text, listed, walked)
		}
	})
}

// A document with more members than an index lists is taken apart as any other.
func TestManyMembers(t *testing.T) {
	const count = 5000
	text := `{` + strings.Repeat(`"a":{"b":1},`, count) + `"message":"m","service":{"name":"s"}}`
	got := messageOf([]byte(text), func(d *Document) { _, _ = d.Parse([]byte(text), testFields) })
	if !strings.Contains(got, `"message":"m"`) || !strings.Contains(got, `"s" [`) || strings.Count(got, `"a.b":"1"`) != count {
		t.Errorf("%.300q", got)
	}
}

// A name in an object is not that of the same length in another one.
func TestFieldsOfObjects(t *testing.T) {
	f := NewFields("ab.n", "ac.m")
	for text, want := range map[string]string{
		`{"ab":{"n":1},"ac":{"m":2}}`: `["1" "2"]`, `{"ab":{"m":1},"ac":{"n":2}}`: `["" ""]`, `{"ab.n":1,"n":2,"":{"n":3}}`: `["1" ""]`,
	} {
		values := make([][]byte, 2)
		if f.Find([]byte(text), values); fmt.Sprintf("%q", values) != want {
			t.Errorf("%s: %q, want %s", text, values, want)
		}
	}
}

// FuzzTime compares the short way for times in UTC with package time.
func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.123456789Z", "2006-01-02T15:04:05.1234567891Z", "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05,5Z",
		"2023-02-29T00:00:00Z", "2024-02-29T23:59:59.999Z", "2023-04-31T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z",
		"2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2023-01-01T00:00:60Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z",
		"2261-12-31T23:59:59.999999999Z", "2262-01-01T00:00:00Z", "2023-01-01T00:00:00+01:00", "2023-01-01T00:00:00z", "+023-01-01T00:00:00Z", "2023-01-01T-1:00:00Z",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, err := time.Parse(time.RFC3339, string(text))
		nano, ok := parseUTC(text)
		if ok && (err != nil || !inRange(want) || nano != want.UnixNano()) {
			t.Errorf("%q: %d, want %v %v", text, nano, want, err)
		}
		const form = "2006-01-02T15:04:05.000Z"
		if !ok && err == nil && inRange(want) && want.Format(form) == string(text) {
			t.Errorf("%q is not taken the short way", text)
		}
	})
}
