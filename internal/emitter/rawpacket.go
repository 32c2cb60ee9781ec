package emitter

import (
	"bytes"
	"encoding/json"
)

// rawPacket is a packet read from a file as one line.
type rawPacket struct {
	body, id  []byte
	emitterID string
	messages  int
}

// parsePacket parses a line that is a packet, or a dead letter with a packet as
// its member "packet". The packet's bytes are kept unchanged.
func parsePacket(line []byte) (*rawPacket, bool) {
	if len(line) == 0 || line[0] != '{' || !bytes.Contains(line, []byte(`"packet_id"`)) {
		return nil, false
	}
	var deadLetter struct {
		Packet json.RawMessage `json:"packet"`
	}
	if json.Unmarshal(line, &deadLetter) != nil {
		return nil, false
	}
	if deadLetter.Packet != nil {
		line = deadLetter.Packet
	}
	var packet struct {
		EmitterID *string            `json:"emitter_id"`
		PacketID  *string            `json:"packet_id"`
		Messages  *[]json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(line, &packet) != nil || packet.EmitterID == nil || packet.PacketID == nil || packet.Messages == nil {
		return nil, false
	}
	return &rawPacket{body: bytes.Clone(line), id: []byte(*packet.PacketID), emitterID: *packet.EmitterID, messages: len(*packet.Messages)}, true
}
