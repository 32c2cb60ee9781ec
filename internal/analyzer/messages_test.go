package analyzer

import (
	"encoding/json"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestMessagesOfAPacket(t *testing.T) {
	body := `{ "x" : [{"messages":[1]}, "]}\"", -1.5e3, true, null ] , "messages" : [
		{"timestamp":1,"level":"warning","message":"a","metadata":{"service":"web","host":"\\"}},
		{"metadata":{"a":"1","\u0073ervice":"p\u00e4\"y","service2":"no"},"message":"\\\"level\":","timestamp":1,"level":"\u0045RROR"},
		{"level":"loud","service":"not here","message":"c","timestamp":1 , "metadata" : { } },
		{"level":"d","message":"c","timestamp":1},
		{"level":"d","message":"c","timestamp":1,"metadata":null},
		{"metadata" : null , "level":"e","message":"c","timestamp":1},
		{"level":"d","message":"c","timestamp":1,"metadata":{"a":null,"service":"web","b" : null }},
		{"level":"d","message":"c","timestamp":1,"metadata":{"service": null}}
	] , "emitter_id":"e", "packet_id":"p" } `
	mustCheck(t, body)

	got := appendMessages(nil, []byte(body))

	want := []struct {
		level   packet.Level
		service string
	}{{packet.LevelWarn, "web"}, {packet.LevelError, `pä"y`}, {0, ""}, {packet.LevelDebug, ""},
		{packet.LevelDebug, ""}, {packet.LevelError, ""}, {packet.LevelDebug, "web"}, {packet.LevelDebug, ""}}
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i, m := range got {
		if m.level != want[i].level || string(m.service) != want[i].service {
			t.Errorf("message %d: level %v of %q, want %v of %q", i, m.level, m.service, want[i].level, want[i].service)
		}
	}
}

func mustCheck(t *testing.T, body string) packet.Info {
	t.Helper()
	info, err := packet.Check([]byte(body), 1000)
	if err != nil {
		t.Fatalf("not a packet: %v", err)
	}
	return info
}

// FuzzMessages compares appendMessages with encoding/json.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m","metadata":{"service":"s","a":"b"}}]}`))
	f.Add([]byte(`{"packet_id":"p\"","x":{"y":[[],{},"\\"]},"messages":[{"level":"\u0057arn","timestamp":12,"message":"\\","metadata":{"service":"\ud800","service":"é\n"}} , {"timestamp":1,"level":"e","message":" ","z":[0.5e-1]}],"emitter_id":"e"}`))
	f.Add([]byte(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m","metadata":null},{"timestamp":1,"level":"INFO","message":"m","metadata":{"service":"a","service":null,"b":null}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := packet.Check(body, 1000)
		if err != nil {
			return
		}
		got := appendMessages(nil, body)
		if len(got) != info.Messages {
			t.Fatalf("%d messages, but the check counted %d", len(got), info.Messages)
		}
		for i, want := range reference(t, body) {
			level, known := packet.ParseLevel(want.level)
			if !known {
				level = 0
			}
			if got[i].level != level || string(got[i].service) != want.service {
				t.Fatalf("message %d: level %v of %q, want %v of %q", i, got[i].level, got[i].service, level, want.service)
			}
		}
	})
}

type referenceMessage struct{ level, service string }

// reference matches names exactly, as encoding/json does for maps.
func reference(t *testing.T, body []byte) (messages []referenceMessage) {
	var document map[string]json.RawMessage
	var list []map[string]json.RawMessage
	decode(t, body, &document)
	decode(t, document["messages"], &list)
	for _, record := range list {
		var m referenceMessage
		decode(t, record["level"], &m.level)
		if record["metadata"] != nil {
			var metadata map[string]string
			decode(t, record["metadata"], &metadata)
			m.service = metadata["service"]
		}
		messages = append(messages, m)
	}
	return messages
}

func decode(t *testing.T, text []byte, into any) {
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("encoding/json rejects %q: %v", text, err)
	}
}
