package journaltest

import (
	"fmt"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// T is the subset of testing.T that the helpers use; rapid.T implements it, too.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Packets makes valid packets. It may be used concurrently.
type Packets struct {
	pool packet.Pool
}

// Body returns the JSON text of a packet, padded to at least size bytes.
func Body(emitter, id string, messages, size int) []byte {
	const message = `{"timestamp":1640995200000,"level":"INFO","message":"it works"}`
	list := strings.Repeat(message+",", messages-1) + message
	body := fmt.Sprintf(`{"emitter_id":%q,"packet_id":%q,"messages":[%s]`, emitter, id, list)
	if missing := size - len(body) - len(`,"filling":""}`); missing > 0 {
		body += `,"filling":"` + strings.Repeat("x", missing) + `"`
	}
	return []byte(body + "}")
}

// Make returns a packet of at least size bytes. Its number of messages is 1 to 3 and
// depends on the length of its id.
func (s *Packets) Make(t T, emitter, id string, size int) *packet.Packet {
	t.Helper()
	return s.of(t, Body(emitter, id, 1+len(id)%3, size))
}

// makeRaw returns a packet with an emitter id that is already escaped.
func (s *Packets) makeRaw(t T, emitter, id string) *packet.Packet {
	t.Helper()
	return s.of(t, []byte(strings.Replace(string(Body("emitter", id, 1, 0)), "emitter\",\"packet_id", emitter+"\",\"packet_id", 1)))
}

func (s *Packets) of(t T, body []byte) *packet.Packet {
	t.Helper()
	info, err := packet.Check(body, 10)
	if err != nil {
		t.Fatalf("the test's packet is refused: %v", err)
	}
	p := s.pool.New(body, info)
	p.Accepted = time.Now()
	return p
}

// ID returns a packet's ids as emitter/id. It fails the test if the body is not one of Make.
func ID(t T, p *packet.Packet) string {
	t.Helper()
	emitter, id := string(p.EmitterID.Raw(p.Body)), string(p.PacketID.Raw(p.Body))
	want := Body(emitter, id, 1+len(id)%3, len(p.Body))
	if string(p.Body) != string(want) {
		t.Errorf("the body of %s/%s is not the appended one: %.200q", emitter, id, p.Body)
	}
	if p.Messages != 1+len(id)%3 {
		t.Errorf("%s/%s has %d messages, want %d", emitter, id, p.Messages, 1+len(id)%3)
	}
	return emitter + "/" + id
}
