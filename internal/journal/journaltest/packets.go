package journaltest

import (
	"fmt"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// T is what the helpers need of a test, so that property tests can use them.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Packets makes packets that packet.Check accepts. It may be used by several
// goroutines.
type Packets struct {
	pool packet.Pool
}

// Body returns the JSON text of a packet with an id and so many messages,
// filled to at least size bytes.
func Body(emitter, id string, messages, size int) []byte {
	const message = `{"timestamp":1640995200000,"level":"INFO","message":"it works"}`
	list := strings.Repeat(message+",", messages-1) + message
	body := fmt.Sprintf(`{"emitter_id":%q,"packet_id":%q,"messages":[%s]`, emitter, id, list)
	if missing := size - len(body) - len(`,"filling":""}`); missing > 0 {
		body += `,"filling":"` + strings.Repeat("x", missing) + `"`
	}
	return []byte(body + "}")
}

// Make returns a packet of so many bytes. Its number of messages is between 1
// and 3 and depends on its id.
func (s *Packets) Make(t T, emitter, id string, size int) *packet.Packet {
	t.Helper()
	return s.of(t, Body(emitter, id, 1+len(id)%3, size))
}

// spelled returns a packet whose emitter's id is written so, between its quotes.
func (s *Packets) spelled(t T, emitter, id string) *packet.Packet {
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

// ID returns a packet's emitter and id, as emitter/id. It fails the test when
// the body is not that of the packet that Make made.
func ID(t T, p *packet.Packet) string {
	t.Helper()
	emitter, id := string(p.EmitterID.Raw(p.Body)), string(p.PacketID.Raw(p.Body))
	want := Body(emitter, id, 1+len(id)%3, len(p.Body))
	if string(p.Body) != string(want) {
		t.Errorf("the body of %s/%s is not the one that was put: %.200q", emitter, id, p.Body)
	}
	if p.Messages != 1+len(id)%3 {
		t.Errorf("%s/%s has %d messages, want %d", emitter, id, p.Messages, 1+len(id)%3)
	}
	return emitter + "/" + id
}
