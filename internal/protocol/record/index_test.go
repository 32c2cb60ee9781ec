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
	encoded, level := m.append(nil), m.packetLevel()
	return fmt.Sprintf("%d %t %v %s %s", size, m.fault != nil, level, encoded, found)
}

// FuzzIndex compares a document whose members are listed with the same document without a list, as
// for documents with too many members.
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
		again := messageOf(text, func(d *Document) {
			_, _ = d.Parse(text, testFields)
			_, _ = d.Parse(text, testFields) // by its outline
		})
		if again != listed {
			t.Errorf("%q:\n%s, then\n%s", text, listed, again)
		}
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

// A document with more members than an index lists is parsed like any other.
func TestManyMembers(t *testing.T) {
	const count = 5000
	text := `{` + strings.Repeat(`"a":{"b":1},`, count) + `"message":"m","service":{"name":"s"}}`
	got := messageOf([]byte(text), func(d *Document) { _, _ = d.Parse([]byte(text), testFields) })
	if !strings.Contains(got, `"message":"m"`) || !strings.Contains(got, `"s" [`) || strings.Count(got, `"a.b":"1"`) != count {
		t.Errorf("%.300q", got)
	}
}

// A name in an object is not confused with another name of the same length.
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

// FuzzTime compares the fast path for times in UTC with package time.
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

// FuzzDocuments reads a document after another document, whose outline and beginnings of members it
// may have.
func FuzzDocuments(f *testing.F) {
	for _, c := range [][2]string{
		{`{"message":"m","level":"warn","service":{"name":"s","n":1}}`, `{"message":"n","level":"odd","service":{"name":null,"n":"x"}}`},
		{`{"message":"m","a":{"b":{"c":1,"d":[1]}},"trace_id":"x"}`, `{"message":"m","a":{"b":{"c":"\n","d":true}},"trace_id":["x"]}`},
		{`{"a":1,"a":2,"":{"":null}}`, `{"a":null,"a":"` + "\xff" + `","":{"":false}}`}, {`{"a":1,"b":2,"c":3}`, `{"a":{"b":2},"c":3}`},
	} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, before, text []byte) {
		if isObject, err := new(Document).Parse(text, testFields); !isObject || err != nil {
			return
		}
		want := messageOf(text, func(d *Document) { _, _ = d.Parse(text, testFields) })
		var d Document
		var m Message
		for _, one := range [][]byte{before, text, before, text, text, text} {
			isObject, err := d.Parse(one, testFields)
			if !isObject || err != nil {
				continue
			}
			m.Begin(1)
			emitter := d.Text(0, 1, 2)
			found := fmt.Sprintf("%q %q", emitter, d.values)
			d.AddTo(&m)
			size := m.complete()
			if got := fmt.Sprintf("%d %t %v %s %s", size, m.fault != nil, m.packetLevel(), m.append(nil), found); string(one) == string(text) && got != want {
				t.Fatalf("%q after %q:\n%s, want\n%s", text, before, got, want)
			}
		}
	})
}

// Every day until 2262 has the right number.
func TestDays(t *testing.T) {
	for day := time.Unix(0, 0).UTC(); day.Year() <= lastYear; day = day.AddDate(0, 0, 1) {
		if got := daysBefore(day.Year(), int(day.Month()), day.Day()); int64(got)*86_400 != day.Unix() {
			t.Fatalf("%v has the number %d", day, got)
		}
		if next := day.AddDate(0, 0, 1); (next.Day() == 1) != (daysOf(day.Year(), int(day.Month())) == day.Day()) {
			t.Fatalf("the month of %v has %d days", day, daysOf(day.Year(), int(day.Month())))
		}
	}
}
