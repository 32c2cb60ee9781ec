package packet

import "bytes"

// Reader reads the messages of a checked packet in order, without allocation once its
// buffers have grown. Beside the members of the packet format it reads the lossless extras
// that translated packets carry: "types", "body_type" and "scope" of messages, "resource"
// and "scopes" of packets. Extras of another form than documented are ignored, as other
// unknown members are. A Reader must not be used concurrently.
type Reader struct {
	scanner
	// Body is the text that each Text is a range of.
	Body                []byte
	EmitterID, PacketID Text
	// Resource has the attributes of all messages, and Scopes are the attributes that Message.Scope
	// refers to. Both are valid until the next Reset.
	Resource Attributes
	Scopes   []Attributes
	// Message is the current message, valid until the next Next or Reset.
	Message Message

	upcoming int // offset of the next message, or refused
	types    []typedName
	messages int
}

// Message is one message of a packet.
type Message struct {
	Timestamp int64 // milliseconds
	Level     Text
	Text      Text
	Metadata  []Pair
	// BodyType is the type of Text, 0 for a string.
	BodyType byte
	// Scope is an index of Reader.Scopes, or -1.
	Scope int
}

// Pair is a member of metadata or attributes, in the order of the packet. A name may occur
// more than once.
type Pair struct {
	Name, Value Text
	// Null means that the value is null; then Value is empty.
	Null bool
	// Type is the original type of the value, or 0 for a string.
	Type byte
}

// The types of values that are encoded as text.
const (
	TypeInt    = 'i'
	TypeDouble = 'd'
	TypeBool   = 'b'
	TypeBytes  = 'x' // base64
	TypeJSON   = 'j'
	TypeOTLP   = 'o' // an AnyValue in the JSON encoding of OTLP
	TypeEmpty  = 'n' // no value
)

// Attributes describe a resource or a scope.
type Attributes struct {
	// Present is set if the packet has it.
	Present bool
	// Name and Version are those of a scope.
	Name, Version, SchemaURL Text
	// Dropped is the number of attributes that an earlier component dropped.
	Dropped int64
	Pairs   []Pair
}

// Reset begins with another packet, whose body Check or Recheck has accepted, and which must not
// change while the Reader is used. With the Info of the packet, which may be zero, the Reader need
// not search for the ids.
func (r *Reader) Reset(p *Packet) {
	r.scanner = scanner{body: p.Body}
	r.marks.vectors = hasVectors
	r.Body = p.Body
	r.EmitterID, r.PacketID = p.EmitterID, p.PacketID
	r.release()
	r.Resource.reset()
	r.Scopes = r.Scopes[:0]
	r.packet(r.space(0))
	r.upcoming = r.messages
}

// maxKeptPairs bounds the pairs whose memory a Reader keeps between packets.
const maxKeptPairs = 1 << 14

// release releases memory that an unusually large packet has needed.
func (r *Reader) release() {
	pairs := cap(r.Scopes)
	for i := range r.Scopes[:cap(r.Scopes)] {
		pairs += cap(r.Scopes[:cap(r.Scopes)][i].Pairs)
	}
	if pairs > maxKeptPairs {
		r.Scopes = nil
	}
	if cap(r.Resource.Pairs) > maxKeptPairs {
		r.Resource.Pairs = nil
	}
	if cap(r.Message.Metadata)+cap(r.types) > maxKeptPairs {
		r.Message.Metadata, r.types = nil, nil
	}
}

// packet reads all members but messages, whose first element it finds. It reads the members after
// the messages only if they can matter, because it must skip the messages for that.
func (r *Reader) packet(at int) {
	at = r.space(at + 1)
	for {
		name, value := r.name(at)
		var end int
		switch {
		case r.Is(name, "emitter_id"):
			r.EmitterID, end = r.text(value)
		case r.Is(name, "packet_id"):
			r.PacketID, end = r.text(value)
		case r.Is(name, "messages"):
			r.messages = r.space(value + 1)
			if !r.mayHaveMembersFrom(value) {
				return
			}
			end = r.value(value, depthInPacket)
		case r.Is(name, "resource") && !r.Resource.Present:
			end = r.attributes(value, &r.Resource)
		case r.Is(name, "scopes") && len(r.Scopes) == 0:
			end = r.scopes(value)
		default:
			end = r.value(value, depthInPacket)
		}
		next, more := r.next(end, '}')
		if !more {
			return
		}
		at = next
	}
}

var quotedResource, quotedScopes, escapedASCII = []byte(`resource"`), []byte(`scopes"`), []byte(`\u00`)

// mayHaveMembersFrom reports whether members that packet reads may follow the messages, which begin at the
// offset. It searches for few bytes, the rarest ones first.
func (r *Reader) mayHaveMembersFrom(at int) bool {
	if r.EmitterID.IsEmpty() || r.PacketID.IsEmpty() {
		return true
	}
	if r.Resource.Present && len(r.Scopes) > 0 {
		return false
	}
	rest := r.Body[at:]
	return r.continuesAfterArray(at) && (bytes.Contains(rest, escapedASCII) ||
		!r.Resource.Present && bytes.Contains(rest, quotedResource) || len(r.Scopes) == 0 && bytes.Contains(rest, quotedScopes))
}

// continuesAfterArray reports whether a comma follows a ], which may be in a string.
func (r *Reader) continuesAfterArray(at int) bool {
	for {
		next := bytes.IndexByte(r.Body[at:], ']')
		if next < 0 {
			return false
		}
		at += next + 1
		if r.at(r.space(at)) == ',' {
			return true
		}
	}
}

// Next reads the next message and reports whether there is one.
func (r *Reader) Next() bool {
	if r.upcoming == refused {
		return false
	}
	next, more := r.next(r.message(r.upcoming), ']')
	if r.upcoming = next; !more {
		r.upcoming = refused
	}
	return true
}

// message reads a message. Of several extras with one name the first counts.
func (r *Reader) message(at int) (end int) {
	m := &r.Message
	*m = Message{Metadata: m.Metadata[:0], Scope: -1}
	r.types = r.types[:0]
	at = r.space(at + 1)
	for {
		name, value := r.name(at)
		switch string(name.Raw(r.Body)) {
		case "timestamp":
			m.Timestamp, end = r.integer(value)
		case "level":
			m.Level, end = r.text(value)
		case "message":
			m.Text, end = r.text(value)
		case "metadata":
			m.Metadata, end = r.pairs(value, m.Metadata)
		default:
			end = r.otherMember(name, value)
		}
		next, more := r.next(end, '}')
		if !more {
			r.applyTypes(m.Metadata)
			return next
		}
		at = next
	}
}

// otherMember reads an extra, or a member whose name is spelled with escapes.
func (r *Reader) otherMember(name Text, value int) (end int) {
	m := &r.Message
	switch {
	case name.escaped && r.Is(name, "timestamp"):
		m.Timestamp, end = r.integer(value)
	case name.escaped && r.Is(name, "level"):
		m.Level, end = r.text(value)
	case name.escaped && r.Is(name, "message"):
		m.Text, end = r.text(value)
	case name.escaped && r.Is(name, "metadata"):
		m.Metadata, end = r.pairs(value, m.Metadata)
	case r.Is(name, "types"):
		end = r.typedNames(value, depthInMessage)
	case r.Is(name, "body_type") && m.BodyType == 0:
		m.BodyType, end = r.typeCode(value, depthInMessage)
	case r.Is(name, "scope") && m.Scope < 0:
		m.Scope, end = r.scope(value)
	default:
		end = r.value(value, depthInMessage)
	}
	return end
}

// scope reads an index of Scopes, and returns -1 for anything else.
func (r *Reader) scope(at int) (index, end int) {
	end = r.value(at, depthInMessage)
	number, after := r.integer(at)
	if after != end || number < 0 || number >= int64(len(r.Scopes)) {
		return -1, end
	}
	return int(number), end
}

// integer reads digits, of which there are at most 19. It returns 0 and refused if there is
// none or too many.
func (r *Reader) integer(at int) (number int64, end int) {
	for end = at; isDigit(r.at(end)); end++ {
		if end-at > 18 {
			return 0, refused
		}
		number = 10*number + int64(r.Body[end]-'0')
	}
	if end == at || number < 0 {
		return 0, refused
	}
	return number, end
}

// Find returns the last value of a name that is neither null nor empty. Its time is proportional to
// the number of pairs.
func (r *Reader) Find(pairs []Pair, name string) (value Text, found bool) {
	for i := range pairs {
		if p := &pairs[i]; p.Name.Len() >= len(name) && !p.Value.IsEmpty() && r.Is(p.Name, name) {
			value, found = p.Value, true
		}
	}
	return value, found
}

// Is reports whether a name decodes to a known one of at most 64 bytes.
func (r *Reader) Is(name Text, known string) bool {
	raw := name.Raw(r.Body)
	if !name.escaped {
		return string(raw) == known
	}
	const maxLen = 64
	if len(raw) > maxLen*escapeLen {
		return false
	}
	var decoded [maxLen * escapeLen]byte
	return string(name.AppendDecoded(decoded[:0], r.Body)) == known
}
