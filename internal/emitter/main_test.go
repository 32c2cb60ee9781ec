package emitter

import (
	"encoding/json"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// sent is a packet decoded by a test.
type sent struct {
	EmitterID string    `json:"emitter_id"`
	PacketID  string    `json:"packet_id"`
	Messages  []message `json:"messages"`
}

type message struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
}

// readBack checks a packet with the distributor's checker and with
// encoding/json, and that both agree with the emitter's metadata.
func readBack(t testing.TB, p *outgoing) sent {
	t.Helper()
	info, err := packet.Check(p.body, maxPacketMessages)
	if err != nil {
		t.Fatalf("the distributor would refuse %q: %v", p.body, err)
	}
	var s sent
	if err := json.Unmarshal(p.body, &s); err != nil {
		t.Fatalf("%q: %v", p.body, err)
	}
	if len(s.Messages) != p.messages || info.Messages != p.messages || s.PacketID != string(p.id) {
		t.Fatalf("packet %s of %d messages is believed to be %s of %d", s.PacketID, len(s.Messages), p.id, p.messages)
	}
	return s
}
