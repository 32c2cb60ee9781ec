package packet

import (
	"bytes"
	"encoding/binary"
)

// StoredInfoBytes is the length of an encoded Info.
const StoredInfoBytes = 22

const (
	storedSpansLines = 1 << iota
	storedEmitterEscaped
	storedPacketEscaped
)

// AppendInfo appends the encoding of a packet's Info, for a store that protects it with a checksum.
func AppendInfo(dst []byte, info Info) []byte {
	var flags byte
	for _, one := range []struct {
		set bool
		bit byte
	}{{info.SpansLines, storedSpansLines}, {info.EmitterID.escaped, storedEmitterEscaped}, {info.PacketID.escaped, storedPacketEscaped}} {
		if one.set {
			flags |= one.bit
		}
	}
	dst = append(dst, flags, byte(info.Level))
	for _, n := range []int32{int32(info.Messages), info.EmitterID.start, info.EmitterID.end, info.PacketID.start, info.PacketID.end} {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	}
	return dst
}

// ParseInfo decodes StoredInfoBytes of AppendInfo, of a packet with a body. It returns false if the
// bytes cannot be the Info of such a packet; a checksum does not protect from those who can write the
// store.
func ParseInfo(encoded, body []byte) (info Info, ok bool) {
	if len(encoded) < StoredInfoBytes {
		return Info{}, false
	}
	number := func(i int) int32 { return int32(binary.LittleEndian.Uint32(encoded[2+4*i:])) }
	flags := encoded[0]
	info = Info{
		Messages: int(number(0)), Level: Level(encoded[1]), SpansLines: flags&storedSpansLines != 0,
		EmitterID: Text{number(1), number(2), flags&storedEmitterEscaped != 0},
		PacketID:  Text{number(3), number(4), flags&storedPacketEscaped != 0},
	}
	return info, info.Messages > 0 && info.Level <= LevelCritical && info.EmitterID.isIn(body) && info.PacketID.isIn(body)
}

// isIn reports whether the text is a range of a body, with whole escapes.
func (t Text) isIn(body []byte) bool {
	return t.start >= 0 && t.start <= t.end && int(t.end) <= len(body) && (!t.escaped || hasWholeEscapes(t.Raw(body)))
}

func hasWholeEscapes(raw []byte) bool {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return true
		}
		raw = raw[at:]
		size := 2
		if len(raw) > 1 && raw[1] == 'u' {
			size = escapeLen
		}
		if len(raw) < size || size == escapeLen && hexRune(raw) < 0 {
			return false
		}
		raw = raw[size:]
	}
}
