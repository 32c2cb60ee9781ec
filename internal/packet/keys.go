package packet

// key is a member's name that has a meaning in a packet or in a message.
type key uint8

const (
	keyUnknown key = 0
	// In a packet.
	keyEmitterID key = 1 << iota
	keyPacketID
	keyMessages
	// In a message.
	keyTimestamp
	keyLevel
	keyMessage
	keyMetadata
)

const (
	packetKeys  = keyEmitterID | keyPacketID | keyMessages
	messageKeys = keyTimestamp | keyLevel | keyMessage | keyMetadata

	requiredInPacket  = packetKeys
	requiredInMessage = messageKeys &^ keyMetadata
)

// String returns the name of a single key.
func (k key) String() string {
	switch k {
	case keyEmitterID:
		return "emitter_id"
	case keyPacketID:
		return "packet_id"
	case keyMessages:
		return "messages"
	case keyTimestamp:
		return "timestamp"
	case keyLevel:
		return "level"
	case keyMessage:
		return "message"
	case keyMetadata:
		return "metadata"
	default:
		return "unknown"
	}
}

const longestKey = len("emitter_id")

func keyOf(name []byte) key {
	switch string(name) {
	case "emitter_id":
		return keyEmitterID
	case "packet_id":
		return keyPacketID
	case "messages":
		return keyMessages
	case "timestamp":
		return keyTimestamp
	case "level":
		return keyLevel
	case "message":
		return keyMessage
	case "metadata":
		return keyMetadata
	default:
		return keyUnknown
	}
}

// packetKey reads a name and the colon of a packet's member. Nearly always it
// is one of three, without escapes and with the colon at once behind.
func (s *scanner) packetKey(at int) (k key, value int) {
	const longest = len(`"emitter_id":`)
	if at+longest <= len(s.body) {
		name := s.body[at : at+longest]
		switch {
		case string(name) == `"emitter_id":`:
			return keyEmitterID, s.space(at + longest)
		case string(name[:len(`"packet_id":`)]) == `"packet_id":`:
			return keyPacketID, s.space(at + len(`"packet_id":`))
		case string(name[:len(`"messages":`)]) == `"messages":`:
			return keyMessages, s.space(at + len(`"messages":`))
		}
	}
	return s.anyKey(at, packetKeys)
}

// anyKey reads a name and the colon of a member that is one of the known keys,
// in any spelling that JSON allows, or unknown.
func (s *scanner) anyKey(at int, known key) (k key, value int) {
	name, value := s.name(at)
	if value == refused {
		return keyUnknown, refused
	}
	raw := name.Raw(s.body)
	if !name.escaped {
		return keyOf(raw) & known, value
	}
	if len(raw) > longestKey*escapeLen {
		return keyUnknown, value
	}
	var decoded [longestKey * escapeLen]byte
	return keyOf(name.AppendDecoded(decoded[:0], s.body)) & known, value
}
