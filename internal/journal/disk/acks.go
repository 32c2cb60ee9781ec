package disk

import (
	"encoding/binary"
	"slices"
)

// sequenceRange is the sequences first to first+count-1.
type sequenceRange struct{ first, count uint64 }

func (r sequenceRange) end() uint64 { return r.first + r.count }

// rangesOf sorts sequences in place and appends their ranges to dst.
func rangesOf(dst []sequenceRange, sequences []uint64) []sequenceRange {
	slices.Sort(sequences)
	for _, sequence := range sequences {
		last := len(dst) - 1
		switch {
		case last >= 0 && sequence < dst[last].end():
		case last >= 0 && sequence == dst[last].end():
			dst[last].count++
		default:
			dst = append(dst, sequenceRange{sequence, 1})
		}
	}
	return dst
}

// appendAcks appends an acknowledgement record for sorted ranges; next is the
// sequence of the next packet. The body is a list of pairs of unsigned varints: the
// gap between a range and the previous one, and the number of its sequences.
func appendAcks(dst []byte, ranges []sequenceRange, next uint64) []byte {
	start := len(dst)
	dst = appendHeader(dst, record{kind: kindAcks, sequence: next}, 0, 0)
	var end uint64
	for _, r := range ranges {
		dst = binary.AppendUvarint(dst, r.first-end)
		dst = binary.AppendUvarint(dst, r.count)
		end = r.end()
	}
	binary.LittleEndian.PutUint32(dst[start+8:], uint32(len(dst)-start-recordHeaderBytes))
	return seal(dst, start)
}

// parseAcks calls visit for each range in the body of an acknowledgement record.
func parseAcks(body []byte, visit func(sequenceRange)) {
	var end uint64
	for len(body) > 0 {
		gap, n := binary.Uvarint(body)
		count, m := binary.Uvarint(body[max(n, 0):])
		if n <= 0 || m <= 0 {
			return
		}
		r := sequenceRange{end + gap, count}
		visit(r)
		end = r.end()
		body = body[n+m:]
	}
}
