package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink/httpsinktest"
)

// read returns the records of a packet as text.
func read(r *Reader, body string) (all []string) {
	for r.Reset(&packet.Packet{Body: []byte(body)}); r.Next(); {
		text := fmt.Sprintf("%d %v %s %s:", r.Nanoseconds, r.Exact, r.Service, r.Host)
		for _, f := range r.Fields {
			text += fmt.Sprintf(" %s=%s", f.Name, f.Value.Raw(r.Body))
		}
		all = append(all, text)
	}
	return all
}

func reserveX(name []byte) bool { return string(name) == "x" }

func TestReader(t *testing.T) {
	message := func(extra string) string { return `{"timestamp":5,"level":"l","message":"m"` + extra + `}` }
	packetOf := func(members, messages string) string {
		return `{"emitter_id":"shop/web/1","packet_id":"p"` + members + `,"messages":[` + messages + `]}`
	}
	for body, want := range map[string]string{
		packetOf("", message("")):                                                     "5000000 false shop web/1:",
		strings.Replace(packetOf("", message("")), "/web/1", "", 1):                   "5000000 false shop :",
		strings.Replace(packetOf("", message("")), "shop/web", "/", 1):                "5000000 false //1 :",
		packetOf("", message(`,"metadata":{"time_unix_nano":"7"}`)):                   "7 true shop web/1:",
		packetOf("", message(`,"metadata":{"time_unix_nano":"0"}`)):                   "5000000 false shop web/1: time_unix_nano=0",
		packetOf("", message(`,"metadata":{"time_unix_nano":"x"}`)):                   "5000000 false shop web/1: time_unix_nano=x",
		packetOf("", message(`,"metadata":{"time_unix_nano":""}`)):                    "5000000 false shop web/1: time_unix_nano=",
		packetOf("", message(`,"metadata":{"time_unix_nano":"9223372036854775808"}`)): "5000000 false shop web/1: time_unix_nano=9223372036854775808",
		packetOf("", strings.Replace(message(""), "5", "9223372036854775807", 1)):     "9223372036854000000 false shop web/1:",
		packetOf("", message(`,"metadata":{"a":"1","\u0061":"2","b":null,"x":"3"}`)):  "5000000 false shop web/1: a=2 b= attributes.x=3",
		packetOf(`,"resource":{"attributes":{"service.name":"s","host.name":"h","a":"1","b":"2"}}`, message(`,"metadata":{"a":"1","b":"3","host":"mine"}`)): "5000000 false s mine: a=1 b=3 host=mine service.name=s host.name=h resource.b=2",
		packetOf(`,"resource":{"attributes":{"service.name":"s"}}`, message(`,"metadata":{"service.name":"t"}`)):                                            "5000000 false t web/1: service.name=t resource.service.name=s",
		packetOf(`,"scopes":[{"name":"n","version":"v","attributes":{"k":"1"}}]`, message(`,"scope":0`)+","+message("")):                                    "5000000 false shop web/1: otel.scope.name=n otel.scope.version=v otel.scope.k=1;5000000 false shop web/1:",
	} {
		httpsinktest.Packet(t, body)
		if got := strings.Join(read(NewReader(reserveX), body), ";"); got != want {
			t.Errorf("%s\n%s, want\n%s", body, got, want)
		}
	}
	if got := read(NewMetadataReader(reserveX), httpsinktest.Rich)[1]; got != "1640995200123000000 false shop web-1: time_unix_nano=0" {
		t.Error(got)
	}
}

func TestAllocations(t *testing.T) {
	r, body, dst := NewReader(reserveX), []byte(httpsinktest.Rich), make([]byte, 0, 1<<12)
	if n := testing.AllocsPerRun(10, func() {
		for r.Reset(&packet.Packet{Body: body}); r.Next(); {
			dst = r.AppendTyped(AppendTime(dst[:0], r.Nanoseconds))
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A large packet does not keep memory for the next ones.
func TestMemoryIsReleased(t *testing.T) {
	var many strings.Builder
	for i := range maxKeptEntries {
		fmt.Fprintf(&many, `,"\\u0061%d":""`, i)
	}
	r := NewReader(reserveX)
	r.Reset(&packet.Packet{Body: []byte(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"m","metadata":{` + many.String()[1:] + `}}]}`)})
	if r.Next(); len(r.Fields) != maxKeptEntries {
		t.Fatal("it is not read")
	}
	read(r, httpsinktest.Rich)
	if kept := max(cap(r.Fields), cap(r.table), cap(r.arena)); kept > 1000 {
		t.Errorf("%d entries are kept", kept)
	}
}

// FuzzReader checks that all fields of any packet have names of their own and make valid
// JSON, and that one Reader reads a packet as another does.
func FuzzReader(f *testing.F) {
	f.Add([]byte(httpsinktest.Rich))
	f.Add([]byte(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"l","message":"m","metadata":{"a":"[1,","b":"{}","c":"nan","d":"1"},"types":{"a":"j","b":"j","c":"d","d":"b"}}]}`))
	used := NewReader(reserveX)
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := packet.Check(body, 100); err != nil {
			return
		}
		if got, want := read(used, string(body)), read(NewReader(reserveX), string(body)); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for used.Reset(&packet.Packet{Body: body}); used.Next(); {
			names := make(map[string]bool)
			for _, field := range used.Fields {
				if names[string(field.Name)] || reserveX(field.Name) {
					t.Fatalf("%q occurs twice, or is reserved", field.Name)
				}
				names[string(field.Name)] = true
			}
			for _, members := range [][]byte{used.AppendStrings(nil), used.AppendTyped(nil)} {
				var object map[string]any
				text := append(append([]byte(`{"":0`), members...), '}')
				if err := json.Unmarshal(text, &object); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
		}
	})
}
