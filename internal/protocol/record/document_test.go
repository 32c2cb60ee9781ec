package record

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

var testFields = NewDocumentFields("service.name", "host.name", "host")

// translate returns the message of a document, and its emitter.
func translate(t *testing.T, text string) (emitter string, message string) {
	t.Helper()
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	object, err := jsontext.Valid([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var d Document
	d.Read(object, testFields)
	var m Message
	m.Begin(1)
	emitter = string(d.Emitter([]int{0}, []int{1, 2}, netip.MustParseAddr("192.0.2.1")))
	d.AddTo(&m)
	add(t, p.Group([]byte(emitter)), &m)
	got := seal(t, p, l)[0].Messages[0]
	encoded, _ := json.Marshal([]any{got.Level, got.Message, got.Metadata, got.Types, got.BodyType})
	return emitter, string(encoded)
}

func TestDocument(t *testing.T) {
	for text, want := range map[string]string{
		`{"message":"m","level":"warn"}`:                            `192.0.2.1 ["WARN","m",{"body_key":"message","severity_text":"warn"},null,""]`,
		`{"message":"m","level":"WARN"}`:                            `192.0.2.1 ["WARN","m",{"body_key":"message"},null,""]`,
		`{"msg":"m","level":50,"time":1}`:                           `192.0.2.1 ["ERROR","m",{"body_key":"msg","severity_text":"50","time":"1"},{"time":"i"},""]`,
		`{"msg":"m","level":35}`:                                    `192.0.2.1 ["35","m",{"body_key":"msg"},null,""]`,
		`{"MESSAGE":"m","PRIORITY":"2"}`:                            `192.0.2.1 ["CRITICAL","m",{"body_key":"MESSAGE","severity_text":"2"},null,""]`,
		`{"message":"m","status":200}`:                              `192.0.2.1 ["INFO","m",{"body_key":"message","status":"200"},{"status":"i"},""]`,
		`{"message":"m","status":"error","level":{}}`:               `192.0.2.1 ["ERROR","m",{"body_key":"message","level":"{}","severity_text":"error"},{"level":"j"},""]`,
		`{"message":"m","level":"own"}`:                             `192.0.2.1 ["own","m",{"body_key":"message"},null,""]`,
		`{"log":{"level":"fatal"},"event":{"original":"o"}}`:        `192.0.2.1 ["FATAL","o",{"body_key":"event.original","severity_text":"fatal"},null,""]`,
		`{"log.level":"fatal","message":"m"}`:                       `192.0.2.1 ["FATAL","m",{"body_key":"message","severity_text":"fatal"},null,""]`,
		`{"log":"l","message":"m"}`:                                 `192.0.2.1 ["INFO","m",{"body_key":"message","log":"l"},null,""]`,
		`{"log":{"x":1},"message":{"a": 1}}`:                        `192.0.2.1 ["INFO","{\"a\":1}",{"body_key":"message","log.x":"1"},{"log.x":"i"},"j"]`,
		`{"a": 1, "level":"error"}`:                                 `192.0.2.1 ["ERROR","{\"a\":1,\"level\":\"error\"}",{"severity_text":"error"},null,"j"]`,
		`{"message":"","x":"y"}`:                                    `192.0.2.1 ["INFO","(empty)",{"body_empty":"true","body_key":"message","x":"y"},null,""]`,
		`{"message":null}`:                                          `192.0.2.1 ["INFO","{\"message\":null}",null,null,"j"]`,
		`{"service":{"name":"s"},"host":"h","message":"m"}`:         `s/h ["INFO","m",{"body_key":"message","host":"h","service.name":"s"},null,""]`,
		`{"service.name":"s\t","message":"m"}`:                      `s	 ["INFO","m",{"body_key":"message","service.name":"s\t"},null,""]`,
		`{"host":{"name":"h\"\\"},"message":"m\u00e9"}`:             `h"\ ["INFO","mé",{"body_key":"message","host.name":"h\"\\"},null,""]`,
		`{"service.name":"\u0041","host":"\u0042","log":"x"}`:       `A/B ["INFO","x",{"body_key":"log","host":"B","service.name":"A"},null,""]`,
		`{"message":"m","level":"` + strings.Repeat("x", 65) + `"}`: `192.0.2.1 ["INFO","m",{"body_key":"message","level":"` + strings.Repeat("x", 65) + `"},null,""]`,
		"{\"message\":\"a\xffb\",\"k\xff\":\"v\xff\"}":              `192.0.2.1 ["INFO","a` + "\uFFFD" + `b",{"body_key":"message","invalid_utf8":"true","k` + "\uFFFD\":\"v\uFFFD" + `"},null,""]`,
	} {
		emitter, message := translate(t, text)
		if got := emitter + " " + message; got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// Repeated names of objects do not make a message larger than its limit.
func TestFlattenedSize(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, ample)
	leaves := strings.TrimSuffix(strings.Repeat(`"":0,`, 1<<17), ",")
	var m Message
	m.Begin(1)
	m.AddMembers([]byte(`{"`+strings.Repeat("n", maxPrefix)+`":{"":0,"":0}}`), nil)
	if len(m.metadata) > 2*maxPrefix {
		t.Errorf("a long name is repeated: %.600s", m.metadata)
	}
	m.AddMembers([]byte(`{"`+strings.Repeat("n", maxPrefix-1)+`":{`+leaves+`}}`), nil)
	if err := p.Group([]byte("e")).Add(&m); err != ErrTooLarge || len(m.metadata) > maxFlattened+1<<10 {
		t.Errorf("%d bytes: %v", len(m.metadata), err)
	}
	if m.Trim(); cap(m.metadata) > 0 {
		t.Error("the memory of a large message is kept")
	}
}

// A record in JSON has at most maxMembers members, at whatever depth, so that one with millions of
// short ones takes no more memory than its text.
func TestMembersAreBounded(t *testing.T) {
	l := newLender(t, 64<<20)
	members := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"a":1,`, n), ",") }
	for _, c := range []struct {
		object string
		err    error
	}{
		{`{"message":"m",` + members(maxMembers-1) + `}`, nil},
		{`{"message":"m",` + members(maxMembers+1) + `}`, errMembers},
		{`{"message":"m","o":{` + members(maxMembers/2) + `},` + members(maxMembers/2) + `}`, errMembers},
		{`{"message":"m",` + members(1<<20) + `}`, errMembers},
	} {
		var d Document
		var m Message
		if isObject, err := d.Parse([]byte(c.object), NewDocumentFields()); !isObject || err != nil {
			t.Fatal(err)
		}
		m.Begin(1)
		d.AddTo(&m)
		p := NewPackets(t.Context(), l, ample)
		if err := p.Group([]byte("e")).Add(&m); err != c.err || cap(m.metadata)+cap(m.types) > 64*maxMembers {
			t.Errorf("%d bytes of JSON: %v, %d bytes of memory", len(c.object), err, cap(m.metadata)+cap(m.types))
		}
		p.Drop()
		m.Begin(1)
		m.AddMembers([]byte(`{"a":1}`), nil)
		if m.fault != nil {
			t.Error("the next message is refused:", m.fault)
		}
	}
}

func TestTime(t *testing.T) {
	const second, nano = int64(1700000000), int64(1e9)
	for text, want := range map[string]int64{
		"1700000000": second * nano, "1700000000.123456789": second*nano + 123456789, "1700000000.5": second*nano + 5e8,
		"1700000000123": second*nano + 123e6, "1700000000123.5": second*nano + 1235e5, "1700000000123456": second*nano + 123456e3,
		"1700000000123456789": second*nano + 123456789, "1700000000.1234567891": second*nano + 123456789, "1.7e9": second * nano, "1.7E12": second * nano,
		"2023-11-14T22:13:20Z": second * nano, "2023-11-14T22:13:20.123456789Z": second*nano + 123456789, "2023-11-14T23:13:20.5+01:00": second*nano + 5e8,
		"2023-11-14T23:13:20,5+0100": second*nano + 5e8, "2023-11-14 22:13:20": second * nano, "2023-11-14T22:13:20.000": second * nano, " 2023-11-14T22:13:20+00 ": second * nano,
		"2023-11-14": 1699920000 * nano,
		"":           0, "0": 0, "-1": 0, "0.0": 0, "now": 0, "1e400": 0, "NaN": 0, "9223372036854775807": 0, "9223372036854775808": 0, "1960-01-01T00:00:00Z": 0, "2900-01-01T00:00:00Z": 0,
		"0x10": 0, "1.2.3": 0, "1_000": 0, "e": 0, "99999999999": 0,
	} {
		got, ok := ParseTime([]byte(text))
		if got = map[bool]int64{true: got}[ok]; got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestBeginAt(t *testing.T) {
	arrival := time.UnixMilli(1700000000000)
	for nano, want := range map[int64]string{
		0: "1700000000000 map[time_unix_nano:0] false", 5: "1700000000000 map[time_unix_nano:5] true",
		1700000000000_000000: "1700000000000 map[] false", 1700000000001_000002: "1700000000001 map[time_unix_nano:1700000000001000002] false",
		1700086400000_000000: "1700086400000 map[] false", 1700086400001_000000: "1700086400001 map[] true",
		1699395200000_000000: "1699395200000 map[] false", 1699395199999_000000: "1699395199999 map[] true",
	} {
		l := newLender(t, 1<<20)
		p := NewPackets(t.Context(), l, ample)
		var m Message
		skewed := m.beginAt(nano, arrival)
		m.SetBody([]byte("m"))
		add(t, p.Group([]byte("e")), &m)
		message := seal(t, p, l)[0].Messages[0]
		if got := fmt.Sprint(message.Timestamp, message.Metadata, skewed); got != want {
			t.Errorf("%d: %s, want %s", nano, got, want)
		}
	}
}

// A message and a document keep no memory of a large record after Trim.
func TestTrim(t *testing.T) {
	large := strings.Repeat(`\\`, KeptBytes)
	var d Document
	d.Read([]byte(`{"host":"`+large+`"}`), NewDocumentFields("host"))
	d.Emitter([]int{0}, nil, netip.Addr{})
	var m Message
	m.Begin(1)
	d.AddTo(&m)
	m.SetLevelText([]byte(large))
	d.Trim()
	m.Trim()
	if kept := cap(d.object) + cap(d.scratch) + cap(d.emitter); kept > 0 {
		t.Errorf("the document keeps %d bytes", kept)
	}
	if kept := cap(m.metadata) + cap(m.body) + cap(m.levelText); kept > 0 {
		t.Errorf("the message keeps %d bytes", kept)
	}
}
