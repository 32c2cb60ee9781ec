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

// messageKey reads a name and the colon of a message's member. Nearly every
// name is one of four, written without escapes and with the colon at once
// behind: those are told apart by one byte and compared whole. The others, and
// mistakes, go the long way.
func (s *scanner) messageKey(at int) (k key, value int) {
	const longest = len(`"timestamp":`)
	if at+longest <= len(s.body) {
		text := s.body[at : at+longest]
		switch text[len(`"ti`)] {
		case 'm':
			if string(text) == `"timestamp":` {
				return keyTimestamp, s.space(at + len(`"timestamp":`))
			}
		case 'v':
			if string(text[:len(`"level":`)]) == `"level":` {
				return keyLevel, s.space(at + len(`"level":`))
			}
		case 's':
			if string(text[:len(`"message":`)]) == `"message":` {
				return keyMessage, s.space(at + len(`"message":`))
			}
		case 't':
			if string(text[:len(`"metadata":`)]) == `"metadata":` {
				return keyMetadata, s.space(at + len(`"metadata":`))
			}
		}
	}
	return s.anyKey(at, messageKeys)
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
