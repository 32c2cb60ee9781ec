package packet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// The fields of these types are the decoded fields of Reader.
type (
	readPacket struct {
		EmitterID, PacketID string
		Resource            readAttributes
		Scopes              []readAttributes
		Messages            []readMessage
	}
	readMessage struct {
		Timestamp   int64
		Level, Text string
		Metadata    []readPair
		BodyType    string
		Scope       int
	}
	readPair struct {
		Name, Value string
		Null        bool
		Type        string
	}
	readAttributes struct {
		Present                  bool
		Name, Version, SchemaURL string
		Dropped                  int64
		Pairs                    []readPair
	}
)

// readAll reads a packet with a Reader.
func readAll(r *Reader, body []byte) readPacket { return readWith(r, body, Info{}) }

func readWith(r *Reader, body []byte, info Info) (p readPacket) {
	r.Reset(&Packet{Body: body, Info: info})
	text := func(t Text) string { return string(t.AppendDecoded(nil, body)) }
	kind := func(code byte) string { return strings.Trim(string(rune(code)), "\x00") }
	pairs := func(from []Pair) (to []readPair) {
		for _, one := range from {
			to = append(to, readPair{text(one.Name), text(one.Value), one.Null, kind(one.Type)})
		}
		return to
	}
	attributes := func(a Attributes) readAttributes {
		return readAttributes{a.Present, text(a.Name), text(a.Version), text(a.SchemaURL), a.Dropped, pairs(a.Pairs)}
	}
	p = readPacket{EmitterID: text(r.EmitterID), PacketID: text(r.PacketID), Resource: attributes(r.Resource)}
	for _, scope := range r.Scopes {
		p.Scopes = append(p.Scopes, attributes(scope))
	}
	for r.Next() {
		m := r.Message
		p.Messages = append(p.Messages, readMessage{m.Timestamp, text(m.Level), text(m.Text), pairs(m.Metadata), kind(m.BodyType), m.Scope})
	}
	return p
}

// referenceRead reads a valid packet with the standard library.
func referenceRead(t *testing.T, body []byte) (p readPacket) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	tree, err := readTree(decoder, 1)
	if err != nil {
		t.Fatal(err)
	}
	top := tree.(object)
	p.EmitterID, p.PacketID = top.get("emitter_id").(string), top.get("packet_id").(string)
	for _, m := range top {
		if resource, ok := m.value.(object); ok && m.name == "resource" && !p.Resource.Present {
			p.Resource = referenceAttributes(resource)
		}
		if scopes, ok := m.value.([]any); ok && m.name == "scopes" && p.Scopes == nil {
			for _, one := range scopes {
				scope, _ := one.(object)
				p.Scopes = append(p.Scopes, referenceAttributes(scope))
				p.Scopes[len(p.Scopes)-1].Present = isObject(one)
			}
		}
	}
	for _, one := range top.get("messages").([]any) {
		p.Messages = append(p.Messages, referenceReadMessage(one.(object), len(p.Scopes)))
	}
	return p
}

func isObject(value any) bool { _, is := value.(object); return is }

func referenceReadMessage(o object, scopes int) readMessage {
	m := readMessage{Level: o.get("level").(string), Text: o.get("message").(string), Scope: -1}
	m.Timestamp, _ = strconv.ParseInt(o.get("timestamp").(json.Number).String(), 10, 64)
	m.Metadata = referencePairs(o.get("metadata"), referenceTypes(o))
	for _, one := range o {
		if kind := referenceType(one.value); one.name == "body_type" && m.BodyType == "" {
			m.BodyType = kind
		}
		if number, ok := one.value.(json.Number); ok && one.name == "scope" && m.Scope < 0 {
			if index, err := strconv.ParseUint(number.String(), 10, 63); err == nil && index < uint64(scopes) {
				m.Scope = int(index)
			}
		}
	}
	return m
}

func referenceAttributes(o object) readAttributes {
	a := readAttributes{Present: true}
	types := referenceTypes(o)
	for _, m := range o {
		text, _ := m.value.(string)
		switch number, _ := m.value.(json.Number); m.name {
		case "name":
			a.Name = cmpOr(a.Name, text)
		case "version":
			a.Version = cmpOr(a.Version, text)
		case "schema_url":
			a.SchemaURL = cmpOr(a.SchemaURL, text)
		case "dropped":
			if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil && n > 0 && a.Dropped == 0 {
				a.Dropped = n
			}
		case "attributes":
			if a.Pairs == nil {
				a.Pairs = referencePairs(m.value, types)
			}
		}
	}
	return a
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func referencePairs(value any, types object) (pairs []readPair) {
	members, _ := value.(object)
	inOrder, rest := []string(nil), types
	for _, m := range members {
		text, isText := m.value.(string)
		if !isText && m.value != nil {
			continue
		}
		kind := ""
		if len(rest) > 0 && rest[0].name == m.name {
			kind, rest = rest[0].value.(string), rest[1:]
		}
		inOrder = append(inOrder, kind)
		byName, _ := types.get(m.name).(string)
		pairs = append(pairs, readPair{m.name, text, !isText, byName})
	}
	for i := range pairs {
		if len(rest) == 0 {
			pairs[i].Type = inOrder[i]
		}
	}
	return pairs
}

// referenceTypes returns the members with a known type, of the first object of types that
// has some.
func referenceTypes(o object) (types object) {
	for _, m := range o {
		members, _ := m.value.(object)
		for _, one := range members {
			if m.name == "types" && referenceType(one.value) != "" {
				types = append(types, one)
			}
		}
		if len(types) > 0 {
			break
		}
	}
	return types
}

func referenceType(value any) string {
	if text, _ := value.(string); len(text) == 1 && strings.Contains("idbxjon", text) {
		return text
	}
	return ""
}

const extrasPacket = `{"emitter_id":"e","packet_id":"p","resource":{"attributes":{"service.name":"shop","n":"7","a":null},"types":{"n":"i"},"schema_url":"u","dropped":3},` +
	`"scopes":[{"name":"s","version":"1","attributes":{"x":"true"},"types":{"x":"b"}},5,{}],"messages":[` +
	`{"timestamp":1,"level":"INFO","message":"{\"a\":1}","metadata":{"a":"1","b":"x","a":"2","c":null},"types":{"b":"x","a":"i"},"body_type":"j","scope":2},` +
	`{"types":{"k":"i","l":"j"},"scope":3,"metadata":{"\u006b":"1","l":"[]"},"timestamp":2,"level":"WARN","message":"\ud83d\ude00 \ud800"}]}`

func readerBodies() []string {
	bodies := []string{extrasPacket,
		strings.Replace(extrasPacket, `"resource":`, `"\u0072esource":`, 1), strings.Replace(extrasPacket, `"scopes":`, `"scope":1,"scopes":5,"scopes":`, 1),
		`{"messages":[` + plainMessage + `],"resource":{"attributes":{"a":"b"}},"packet_id":"p","emitter_id":"e"}`,
		`{"emitter_id":"e","packet_id":"p","messages":[` + plainMessage + `],"scopes":[{"name":"x"}],"\u0072esource":{"dropped":1}}`,
		`{"emitter_id":"e","packet_id":"p","messages":[` + plainMessage + "] \n ,\t" + `"scopes":[{"name":"x"}] }`,
		`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"resource\"","scope":1.0,"body_type":["j"],"types":[]}]}`,
	}
	for _, body := range acceptedBodies() {
		bodies = append(bodies, body)
	}
	return bodies
}

func compareRead(t *testing.T, r *Reader, body []byte) {
	t.Helper()
	info, err := Check(body, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []Info{{}, info} {
		if got, want := readWith(r, body, known), referenceRead(t, body); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nread as %+v\nwant    %+v", body, got, want)
		}
	}
}

// One Reader reads all packets, in any order.
func TestReader(t *testing.T) {
	var r Reader
	for range 2 {
		for _, body := range readerBodies() {
			compareRead(t, &r, []byte(body))
		}
	}
}

// FuzzReader compares Reader with the standard library.
func FuzzReader(f *testing.F) {
	for _, body := range readerBodies() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = body[:len(body):len(body)]
		if _, err := Check(body, 100); err != nil {
			return
		}
		var r Reader
		compareRead(t, &r, body)
		compareJSONText(t, &r, body)
	})
}

// compareJSONText compares AppendJSON, AppendQuoted and IsJSON with the standard library.
func compareJSONText(t *testing.T, r *Reader, body []byte) {
	t.Helper()
	r.Reset(&Packet{Body: body})
	for r.Next() {
		decoded := r.Message.Text.AppendDecoded(nil, body)
		for _, quoted := range [][]byte{r.Message.Text.AppendJSON(nil, body), AppendQuoted(nil, decoded)} {
			var got string
			if err := json.Unmarshal(quoted, &got); err != nil || got != string(decoded) {
				t.Fatalf("%s: %q, %v", quoted, got, err)
			}
			escapes := bytes.ReplaceAll(quoted, []byte(`\\`), nil) // a backslash may stand before ud800
			if bytes.Contains(escapes, []byte(`\ud800"`)) {
				t.Fatalf("%s has a lone surrogate", quoted)
			}
		}
		if is := IsJSON(decoded); is && !(json.Valid(decoded) && utf8.Valid(decoded)) {
			t.Fatalf("%q is no JSON", decoded)
		}
	}
}

func TestIsJSON(t *testing.T) {
	for text, is := range map[string]bool{
		"": false, " 1": false, "1 ": false, "1": true, "-0.5e3": true, `"a"`: true, "[1,\n2]": false, "[1, 2]": true, "nul": false, "{}x": false,
		nested(32): true, nested(33): false, "NaN": false, "\"\xff\"": false,
	} {
		if IsJSON([]byte(text)) != is || IsNumber([]byte(text)) != (is && (text == "1" || text == "-0.5e3")) {
			t.Errorf("%q: JSON %v, a number %v", text, IsJSON([]byte(text)), IsNumber([]byte(text)))
		}
	}
}

// The order of types does not make reading quadratic, and reading does not allocate.
func TestReaderAllocations(t *testing.T) {
	body := []byte(extrasPacket)
	var r Reader
	if n := testing.AllocsPerRun(10, func() {
		for r.Reset(&Packet{Body: body}); r.Next(); {
			r.Find(r.Message.Metadata, "a")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if value, found := r.Find(r.Resource.Pairs, "service.name"); !found || string(value.Raw(body)) != "shop" {
		t.Errorf("%q, %v", value.Raw(body), found)
	}
}

// A Reader does not keep the memory of a large packet for the next packets.
func TestReaderReleasesMemory(t *testing.T) {
	many := strings.Repeat(`"a":"b",`, maxKeptPairs) + `"a":"b"`
	large := fmt.Sprintf(`{"emitter_id":"e","packet_id":"p","resource":{"attributes":{%s}},"scopes":[{"attributes":{%s}}],"messages":[{"timestamp":1,"level":"l","message":"m","metadata":{%s}}]}`, many, many, many)
	var r Reader
	readAll(&r, []byte(large))
	if len(r.Message.Metadata) <= maxKeptPairs || len(r.Resource.Pairs) <= maxKeptPairs {
		t.Fatal("the large packet is not read")
	}
	readAll(&r, []byte(extrasPacket))
	if kept := max(cap(r.Message.Metadata), cap(r.Resource.Pairs), cap(r.Scopes[0].Pairs)); kept > 100 {
		t.Errorf("%d pairs are kept", kept)
	}
}

// BenchmarkReader measures a packet of 500 messages, plain or with extras at the end.
func BenchmarkReader(b *testing.B) {
	plain := samplePacket(500)
	for name, body := range map[string][]byte{
		"plain":   plain,
		"extras":  fmt.Appendf(nil, `{"resource":{"attributes":{"service.name":"shop"}},%s`, strings.ReplaceAll(string(plain[1:]), `}}`, `},"types":{"region":"i"}}`)),
		"last":    fmt.Appendf(nil, `%s,"resource":{}}`, plain[:len(plain)-1]),
		"escaped": []byte(strings.ReplaceAll(string(plain), "handled", `\"handled\"`)),
	} {
		b.Run(name, func(b *testing.B) {
			var r Reader
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(&Packet{Body: body})
				for r.Next() {
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/message")
		})
	}
}
