// Package protobuf reads and writes the wire format of protocol buffers without structures in
// memory: messages are walked, and appended to buffers.
package protobuf

import "encoding/binary"

// The wire types of protobuf fields.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
	Fixed32 = 5
)

// Fields iterates over the fields of a protobuf message. It is a value; set Rest to the message.
type Fields struct {
	Rest []byte
	// Tag is number<<3 | wire type of the current field.
	Tag uint64
	// Number is the value of a field of Varint, Fixed32 or Fixed64, Text that of one of Bytes.
	Number uint64
	Text   []byte
	// Malformed is set when the message is none.
	Malformed bool
}

// Next reads the next field and reports whether there is one.
func (f *Fields) Next() bool {
	// Most fields are texts of less than 128 bytes.
	if b := f.Rest; len(b) >= 2 && b[0]&(0x80|7) == Bytes && b[0] > 7 && b[1] < 0x80 && int(b[1]) <= len(b)-2 {
		end := 2 + int(b[1])
		f.Tag, f.Text, f.Rest = uint64(b[0]), b[2:end:end], b[end:]
		return true
	}
	return f.next()
}

func (f *Fields) next() bool {
	if len(f.Rest) == 0 {
		return false
	}
	if f.Tag = uint64(f.Rest[0]); f.Tag < 0x80 {
		f.Rest = f.Rest[1:]
	} else if !f.varint(&f.Tag) {
		return false
	}
	if int32(f.Tag>>3) <= 0 { // protobuf has numbers below 2²⁹; the collector's decoder takes these
		return f.fail()
	}
	switch f.Tag & 7 {
	case Bytes:
		return f.text()
	case Varint:
		return f.varint(&f.Number)
	case Fixed64:
		if len(f.Rest) < 8 {
			return f.fail()
		}
		f.Number, f.Rest = binary.LittleEndian.Uint64(f.Rest), f.Rest[8:]
	case Fixed32:
		if len(f.Rest) < 4 {
			return f.fail()
		}
		f.Number, f.Rest = uint64(binary.LittleEndian.Uint32(f.Rest)), f.Rest[4:]
	default: // groups, which proto3 does not have
		return f.fail()
	}
	return true
}

func (f *Fields) text() bool {
	var size uint64
	if len(f.Rest) > 0 && f.Rest[0] < 0x80 {
		size, f.Rest = uint64(f.Rest[0]), f.Rest[1:]
	} else if !f.varint(&size) {
		return false
	}
	if size > uint64(len(f.Rest)) {
		return f.fail()
	}
	f.Text, f.Rest = f.Rest[:size:size], f.Rest[size:]
	return true
}

// varint reads at most ten bytes. Bits beyond 64 are dropped, as the collector's decoder does.
func (f *Fields) varint(to *uint64) bool {
	var value uint64
	for i, b := range f.Rest[:min(len(f.Rest), binary.MaxVarintLen64)] {
		value |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			*to, f.Rest = value, f.Rest[i+1:]
			return true
		}
	}
	return f.fail()
}

func (f *Fields) fail() bool {
	f.Rest, f.Malformed = nil, true
	return false
}

// AppendText appends a field of Bytes.
func AppendText(dst []byte, tag byte, text []byte) []byte {
	dst = binary.AppendUvarint(append(dst, tag), uint64(len(text)))
	return append(dst, text...)
}

// AppendVarint appends a field of Varint.
func AppendVarint(dst []byte, tag byte, value uint64) []byte {
	return binary.AppendUvarint(append(dst, tag), value)
}

// AppendFixed64 appends a field of Fixed64.
func AppendFixed64(dst []byte, tag byte, value uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, tag), value)
}

// AppendFixed32 appends a field of Fixed32.
func AppendFixed32(dst []byte, tag byte, value uint32) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, tag), value)
}

// Open appends the beginning of a field of Bytes whose text is appended next, until Close.
func Open(dst []byte, tag byte) (_ []byte, begin int) {
	dst = append(dst, tag, 0)
	return dst, len(dst)
}

// Close writes the length of the text that begins at the offset.
func Close(dst []byte, begin int) []byte {
	size := uint64(len(dst) - begin)
	if size < 0x80 {
		dst[begin-1] = byte(size)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], size)
	dst = append(dst, length[:n-1]...) // room
	copy(dst[begin+n-1:], dst[begin:])
	copy(dst[begin-1:], length[:n])
	return dst
}
