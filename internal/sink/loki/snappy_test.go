package loki

import (
	"encoding/binary"
	"errors"
)

var errSnappy = errors.New("no snappy block")

// unsnappy is a simple decoder of the block format.
func unsnappy(block []byte) (text []byte, err error) {
	length, n := binary.Uvarint(block)
	if n <= 0 {
		return nil, errSnappy
	}
	for block = block[n:]; len(block) > 0; {
		tag := block[0]
		head := 1 + []int{0, 1, 2, 4}[tag&3]
		size := int(tag >> 2)
		if tag&3 == 0 && size >= 60 { // the length of the literal follows
			head += size - 59
		}
		if head > len(block) {
			return nil, errSnappy
		}
		var number [8]byte
		copy(number[:], block[1:head])
		value := int(binary.LittleEndian.Uint64(number[:]))
		block = block[head:]
		if tag&3 == 0 {
			if size >= 60 {
				size = value
			}
			if size++; size > len(block) {
				return nil, errSnappy
			}
			text, block = append(text, block[:size]...), block[size:]
			continue
		}
		size++
		if tag&3 == 1 {
			size, value = 4+int(tag>>2&7), int(tag>>5)<<8|value
		}
		if value == 0 || value > len(text) {
			return nil, errSnappy
		}
		for range size {
			text = append(text, text[len(text)-value])
		}
	}
	if uint64(len(text)) != length {
		return nil, errSnappy
	}
	return text, nil
}
