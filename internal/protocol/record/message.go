// Package record makes packets of the log records of other protocols: messages as JSON (Message),
// grouped by emitter and cut to size (Packets).
package record

import (
	"cmp"
	"encoding/hex"
	"math/bits"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// emptyBody is the message of a record without a body.
const emptyBody = "(empty)"

// Message encodes one message of a packet. Begin starts a message, the setters add to it in
// any order, and Packets.Add takes it. It is reused, and must not be used concurrently.
type Message struct {
	// Copies is set if keys of packet.IsCopiedKey are the resource's in this protocol.
	Copies bool
	// Measures is set if packets are only measured: texts that need no escape are then counted, not
	// written.
	Measures bool

	timestamp   int64
	level       string
	levelText   []byte // of an unknown level
	body        []byte // JSON string content
	metadata    []byte // members
	types       []byte // members
	extras      []byte // members of the message
	invalid     bool   // a text had invalid UTF-8
	empty       bool
	counted     int    // bytes of metadata that were counted, not written
	countedBody int    // that of body
	members     int    // that were added from JSON
	fault       error  // nil, or an ErrTooLarge
	digits      []byte // of the timestamp
	scratch     []byte
	path        []byte // of the member of an object that is added
	names       nameCache
	begins      outlineBegins
}

// Begin starts a message. The timestamp is in milliseconds since 1970, above 0.
func (m *Message) Begin(timestamp int64) {
	m.timestamp, m.level, m.invalid, m.empty, m.members, m.fault = timestamp, "", false, true, 0, nil
	m.counted, m.countedBody = 0, 0
	m.levelText, m.body, m.metadata, m.types, m.extras = m.levelText[:0], m.body[:0], m.metadata[:0], m.types[:0], m.extras[:0]
}

// KeptBytes is the maximum of memory that a translator of records should keep for each of its buffers:
// there is one for each connection.
const KeptBytes = 64 << 10

// Trim releases memory that a large message needed, before the Message is kept for long.
func (m *Message) Trim() {
	if cap(m.levelText)+cap(m.body)+cap(m.metadata)+cap(m.types)+cap(m.extras)+cap(m.scratch)+cap(m.path) > KeptBytes {
		*m = Message{}
	}
}

// IsInvalid reports whether a text had invalid UTF-8.
func (m *Message) IsInvalid() bool { return m.invalid }

// SetInvalid notes that a text had invalid UTF-8.
func (m *Message) SetInvalid() { m.invalid = true }

// SetLevel sets the level to one of the names of this package. The default is INFO.
func (m *Message) SetLevel(level string) { m.level = level }

// SetLevelText sets the level by name: the usual name of a known level, otherwise the text itself.
func (m *Message) SetLevelText(name []byte) {
	if m.level = NamedLevel(name); m.level == "" && len(name) > 0 {
		m.levelText = m.appendText(m.levelText[:0], name)
	}
}

// HasLevel reports whether a level was set.
func (m *Message) HasLevel() bool { return m.level != "" || len(m.levelText) > 0 }

// LevelIs reports whether the level has a name.
func (m *Message) LevelIs(name []byte) bool {
	if m.hasLevelText() {
		return string(m.levelText) == string(name)
	}
	return cmp.Or(m.level, Info) == string(name)
}

// SetBody sets the text of the message. An empty text is written as (empty), with body_empty=true.
func (m *Message) SetBody(text []byte) {
	if m.Measures && isPlainText(text) {
		m.body, m.countedBody, m.empty = m.body[:0], len(text), len(text) == 0
		return
	}
	m.body, m.countedBody, m.empty = m.appendText(m.body[:0], text), 0, len(text) == 0
}

// SetBodyType sets the type of a body that is not a text.
func (m *Message) SetBodyType(kind byte) {
	m.extras = append(append(append(m.extras, `,"body_type":"`...), kind), '"')
}

// SetScope sets the index of the record's scope among the scopes of the packet.
func (m *Message) SetScope(index int) {
	m.extras = strconv.AppendInt(append(m.extras, `,"scope":`...), int64(index), 10)
}

// Set adds metadata with a key of this service.
func (m *Message) Set(key string, value []byte) {
	if m.Measures && isPlainText(value) {
		m.count(len(key), len(value))
		return
	}
	m.metadata = append(append(m.metadata, ',', '"'), key...)
	m.value(value)
}

// SetString is Set.
func (m *Message) SetString(key, value string) {
	m.metadata = append(append(m.metadata, ',', '"'), key...)
	m.metadata = append(m.metadata, `":"`...)
	m.metadata = append(m.appendText(m.metadata, []byte(value)), '"')
}

// SetInt is Set for a number.
func (m *Message) SetInt(key string, number int64) {
	if m.Measures && number >= 0 {
		m.count(len(key), decimalDigits(uint64(number)))
		return
	}
	m.metadata = append(append(append(m.metadata, ',', '"'), key...), `":"`...)
	m.metadata = append(strconv.AppendInt(m.metadata, number, 10), '"')
}

// SetUint is Set for a number.
func (m *Message) SetUint(key string, number uint64) {
	if m.Measures {
		m.count(len(key), decimalDigits(number))
		return
	}
	m.metadata = append(append(append(m.metadata, ',', '"'), key...), `":"`...)
	m.metadata = append(strconv.AppendUint(m.metadata, number, 10), '"')
}

// SetHex is Set for an id, in hexadecimal digits.
func (m *Message) SetHex(key string, id []byte) {
	if m.Measures {
		m.count(len(key), hex.EncodedLen(len(id)))
		return
	}
	m.metadata = append(append(append(m.metadata, ',', '"'), key...), `":"`...)
	m.metadata = append(hex.AppendEncode(m.metadata, id), '"')
}

// SetNamed adds metadata with a key of this service that contains a name of the record.
func (m *Message) SetNamed(key, value []byte) {
	m.metadata = m.appendText(append(m.metadata, ',', '"'), key)
	m.value(value)
}

func (m *Message) value(value []byte) {
	m.metadata = append(m.metadata, `":"`...)
	m.metadata = append(m.appendText(m.metadata, value), '"')
}

// SetMembers adds metadata of this service in encoded form: members of a JSON object, each with a
// comma before it.
func (m *Message) SetMembers(members []byte) {
	if m.Measures {
		m.counted += len(members)
		return
	}
	m.metadata = append(m.metadata, members...)
}

// Add adds an attribute of the record as metadata. An attribute with a key of this service gets the
// key attributes.KEY.
func (m *Message) Add(key, value []byte) {
	if m.Measures && isPlainText(value) {
		if begin := m.names.lenOf(key); begin > 0 {
			m.counted += begin + len(value) + len(`"`)
			return
		}
	}
	m.metadata = m.beginMember(m.metadata, key, false)
	m.metadata = append(m.appendText(m.metadata, value), '"')
}

// AddTyped is Add for a value that is not a text, whose type is kept.
func (m *Message) AddTyped(key, value []byte, kind byte) {
	m.Add(key, value)
	m.types = append(m.beginMember(m.types, key, false), kind, '"')
}

// AddFrom adds the metadata of another message.
func (m *Message) AddFrom(other *Message) {
	m.metadata = append(m.metadata, other.metadata...)
	m.types = append(m.types, other.types...)
	m.counted += other.counted
	m.invalid = m.invalid || other.invalid
	m.members += other.members
	m.fault = cmp.Or(m.fault, other.fault)
}

func (m *Message) appendKey(dst, key []byte) []byte {
	dst = append(dst, ',', '"')
	if packet.IsReservedKey(key, m.Copies) {
		dst = append(dst, packet.AttributesPrefix...)
	}
	return m.appendText(dst, key)
}

func (m *Message) appendText(dst, text []byte) []byte {
	dst, valid := AppendText(dst, text)
	m.invalid = m.invalid || !valid
	return dst
}

// The parts of an encoded message.
const (
	startOfTimestamp = `{"timestamp":`
	startOfLevel     = `,"level":"`
	startOfText      = `","message":"`
	startOfMetadata  = `,"metadata":{`
	startOfTypes     = `,"types":{`
	fixedBytes       = len(startOfTimestamp) + len(startOfLevel) + len(startOfText) + len(`"}`)
)

// complete adds the members that describe the whole message, once, and returns the number of its
// bytes.
func (m *Message) complete() (bytes int) {
	if m.empty {
		m.body, m.countedBody, m.empty = append(m.body[:0], emptyBody...), 0, false
		m.SetString("body_empty", "true")
	}
	if m.invalid {
		m.invalid = false
		m.SetString("invalid_utf8", "true")
	}
	digits := 0
	if m.Measures {
		digits = decimalDigits(uint64(m.timestamp))
	} else {
		m.digits = strconv.AppendInt(m.digits[:0], m.timestamp, 10)
		digits = len(m.digits)
	}
	bytes = fixedBytes + digits + len(m.body) + m.countedBody + len(m.extras) +
		sizeOfObject(startOfMetadata, len(m.metadata)+m.counted) + sizeOfObject(startOfTypes, len(m.types))
	if m.hasLevelText() {
		return bytes + len(m.levelText)
	}
	return bytes + len(cmp.Or(m.level, Info))
}

// append appends a complete message as JSON.
func (m *Message) append(dst []byte) []byte {
	dst = append(append(append(dst, startOfTimestamp...), m.digits...), startOfLevel...)
	if m.hasLevelText() {
		dst = append(dst, m.levelText...)
	} else {
		dst = append(dst, cmp.Or(m.level, Info)...)
	}
	dst = append(append(dst, startOfText...), m.body...)
	dst = appendObject(append(dst, '"'), startOfMetadata, m.metadata)
	dst = appendObject(dst, startOfTypes, m.types)
	return append(append(dst, m.extras...), '}')
}

// packetLevel returns the level for the packet: INFO for an unknown one.
func (m *Message) packetLevel() packet.Level {
	if m.level == "" {
		return packet.LevelInfo
	}
	level, _ := packet.ParseLevel(m.level)
	return level
}

// hasLevelText reports whether the level is unknown.
func (m *Message) hasLevelText() bool { return m.level == "" && len(m.levelText) > 0 }

// appendObject appends an object of members, each with a comma before it, unless there are none.
func appendObject(dst []byte, name string, members []byte) []byte {
	if len(members) == 0 {
		return dst
	}
	return append(append(append(dst, name...), members[1:]...), '}')
}

// sizeOfObject returns the number of bytes that appendObject appends for members of that many
// bytes.
func sizeOfObject(name string, members int) int {
	if members == 0 {
		return 0
	}
	return len(name) + members // its first comma is replaced by the bracket
}

// count counts a member of metadata instead of writing it.
func (m *Message) count(key, value int) { m.counted += len(`,"":""`) + key + value }

// decimalDigits returns the number of digits.
func decimalDigits(n uint64) int {
	digits := (bits.Len64(n|1)*1233)>>12 + 1 // log10(2) is about 1233/4096; at most one too many
	if digits <= len(powers) && n < powers[digits-1] {
		digits--
	}
	return digits
}

// powers has the powers of ten by their number of digits minus one.
var powers = [...]uint64{
	0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}
