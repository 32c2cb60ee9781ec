package emitter

import (
	"bytes"
	"encoding/json"
)

// wholePacket is a packet that stood in a file as one line.
type wholePacket struct {
	body, id []byte
	messages int
}

// parsePacket recognises a line that is a packet, or a dead letter that holds
// one under "packet". The packet's bytes stay as they are.
func parsePacket(line []byte) (*wholePacket, bool) {
	if len(line) == 0 || line[0] != '{' || !bytes.Contains(line, []byte(`"packet_id"`)) {
		return nil, false
	}
	var letter struct {
		Packet json.RawMessage `json:"packet"`
	}
	if json.Unmarshal(line, &letter) != nil {
		return nil, false
	}
	if letter.Packet != nil {
		line = letter.Packet
	}
	var packet struct {
		EmitterID *string            `json:"emitter_id"`
		PacketID  *string            `json:"packet_id"`
		Messages  *[]json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(line, &packet) != nil || packet.EmitterID == nil || packet.PacketID == nil || packet.Messages == nil {
		return nil, false
	}
	return &wholePacket{body: bytes.Clone(line), id: []byte(*packet.PacketID), messages: len(*packet.Messages)}, true
}
