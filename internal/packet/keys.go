package packet

// key is the name of a member of a packet or of a message, as a bit.
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

const maxKeyLen = len("emitter_id")

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

// packetKey reads the name and the colon of a packet's member, with a fast path for
// unescaped known names that the colon follows directly.
func (s *scanner) packetKey(at int) (k key, value int) {
	const maxLen = len(`"emitter_id":`)
	if at+maxLen <= len(s.body) {
		name := s.body[at : at+maxLen]
		switch {
		case string(name) == `"emitter_id":`:
			return keyEmitterID, s.space(at + maxLen)
		case string(name[:len(`"packet_id":`)]) == `"packet_id":`:
			return keyPacketID, s.space(at + len(`"packet_id":`))
		case string(name[:len(`"messages":`)]) == `"messages":`:
			return keyMessages, s.space(at + len(`"messages":`))
		}
	}
	return s.anyKey(at, packetKeys)
}

// anyKey reads the name and the colon of a member, in any JSON spelling. It returns
// keyUnknown for keys that are not in known.
func (s *scanner) anyKey(at int, known key) (k key, value int) {
	name, value := s.name(at)
	if value == refused {
		return keyUnknown, refused
	}
	raw := name.Raw(s.body)
	if !name.escaped {
		return keyOf(raw) & known, value
	}
	if len(raw) > maxKeyLen*escapeLen {
		return keyUnknown, value
	}
	var decoded [maxKeyLen * escapeLen]byte
	return keyOf(name.AppendDecoded(decoded[:0], s.body)) & known, value
}
