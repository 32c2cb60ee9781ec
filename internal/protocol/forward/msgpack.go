package forward

import (
	"encoding/binary"
	"errors"
	"math"
)

// kind is a kind of MessagePack values.
type kind byte

const (
	kindInvalid kind = iota
	kindNil
	kindBool
	kindInt  // head.number is a signed integer
	kindUint // an integer from 2⁶³ on
	kindFloat
	kindStr
	kindBin
	kindArray
	kindMap
	kindExt
)

// head is the beginning of a value.
type head struct {
	kind kind
	// number is the value of a number or a boolean (0 or 1), as bits.
	number uint64
	// size is the bytes of a text or of an extension, the elements of an array, or the pairs
	// of a map.
	size int
	ext  int8 // the type of an extension
	next int  // the offset of what follows the head
}

// children returns the number of values in a container.
func (h *head) children() int {
	switch h.kind {
	case kindArray:
		return h.size
	case kindMap:
		return 2 * h.size
	default:
		return 0
	}
}

// end returns the offset behind the value, unless it is a container.
func (h *head) end() int {
	switch h.kind {
	case kindStr, kindBin, kindExt:
		return h.next + h.size
	default:
		return h.next
	}
}

// parseHead parses the head at an offset. It reports false if the data ends before the head.
func parseHead(data []byte, at int) (h head, ok bool) {
	if at >= len(data) {
		return h, false
	}
	c := data[at]
	h.next = at + 1
	switch {
	case c < 0x80:
		h.kind, h.number = kindInt, uint64(c)
	case c < 0x90:
		h.kind, h.size = kindMap, int(c&0xf)
	case c < 0xa0:
		h.kind, h.size = kindArray, int(c&0xf)
	case c < 0xc0:
		h.kind, h.size = kindStr, int(c&0x1f)
	case c >= 0xe0:
		h.kind, h.number = kindInt, uint64(int8(c))
	default:
		return parseLongHead(data, at)
	}
	return h, true
}

// form is the format of a value whose first byte is 0xc0 or more: the width of its number or of its
// size, in bytes.
type form struct {
	kind  kind
	bytes int
}

var forms = [...]form{
	{kindNil, 0}, {kindInvalid, 0}, {kindBool, 0}, {kindBool, 0}, // c0 to c3
	{kindBin, 1}, {kindBin, 2}, {kindBin, 4}, {kindExt, 1}, {kindExt, 2}, {kindExt, 4}, // to c9
	{kindFloat, 4}, {kindFloat, 8}, // to cb
	{kindUint, 1}, {kindUint, 2}, {kindUint, 4}, {kindUint, 8}, // to cf
	{kindInt, 1}, {kindInt, 2}, {kindInt, 4}, {kindInt, 8}, // to d3
	{kindExt, 0}, {kindExt, 0}, {kindExt, 0}, {kindExt, 0}, {kindExt, 0}, // fixext, to d8
	{kindStr, 1}, {kindStr, 2}, {kindStr, 4}, {kindArray, 2}, {kindArray, 4}, {kindMap, 2}, {kindMap, 4}, // to df
}

func parseLongHead(data []byte, at int) (h head, ok bool) {
	f := forms[data[at]-0xc0]
	h.kind, h.next = f.kind, at+1+f.bytes
	if h.next > len(data) {
		return h, false
	}
	number := bigEndian(data[at+1 : h.next])
	switch f.kind {
	case kindBool:
		h.number = uint64(data[at] - 0xc2)
	case kindUint:
		if h.number = number; number <= math.MaxInt64 {
			h.kind = kindInt
		}
	case kindInt:
		shift := 64 - 8*f.bytes
		h.number = uint64(int64(number<<shift) >> shift)
	case kindFloat:
		if h.number = number; f.bytes == 4 {
			h.number = math.Float64bits(float64(math.Float32frombits(uint32(number))))
		}
	case kindExt:
		if h.size = int(number); f.bytes == 0 {
			h.size = 1 << (data[at] - 0xd4)
		}
		if h.next++; h.next > len(data) {
			return h, false
		}
		h.ext = int8(data[h.next-1])
	default:
		h.size = int(number)
	}
	return h, true
}

func bigEndian(text []byte) uint64 {
	switch len(text) {
	case 1:
		return uint64(text[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(text))
	case 4:
		return uint64(binary.BigEndian.Uint32(text))
	case 8:
		return binary.BigEndian.Uint64(text)
	default:
		return 0
	}
}

// maxNesting bounds the nesting of containers.
const maxNesting = 64

var (
	errInvalid = errors.New("the data is no MessagePack")
	errNesting = errors.New("the data has more than 64 levels of arrays and maps")
	errSize    = errors.New("a value is larger than a request may be (INPUT_MAX_BODY_BYTES)")
)

// scanner finds the end of a value that arrives in parts, and checks that the value is well-formed.
// The zero value begins at offset 0.
type scanner struct {
	at   int // data before this offset is scanned; for a complete value, its length
	open [maxNesting]int
	// depth is the number of open containers; open has the number of values that each of them
	// lacks.
	depth int
}

// scan continues at the scanned offset. Data begins with the value and is longer than in the
// previous call.
func (s *scanner) scan(data []byte, maxSize int) (complete bool, err error) {
	for {
		if end := shortEnd(data, s.at); end > 0 && end <= maxSize {
			s.at = end
		} else if opened, complete, err := s.scanHead(data, maxSize); opened {
			continue
		} else if err != nil || !complete {
			return false, err
		}
		for s.depth > 0 {
			if s.open[s.depth-1]--; s.open[s.depth-1] > 0 {
				break
			}
			s.depth--
		}
		if s.depth == 0 {
			return true, nil
		}
	}
}

// scanHead scans a value that is not a container, or opens a container.
func (s *scanner) scanHead(data []byte, maxSize int) (opened, complete bool, err error) {
	h, ok := parseHead(data, s.at)
	if !ok {
		return false, false, nil
	}
	end := h.end()
	switch {
	case h.kind == kindInvalid:
		return false, false, errInvalid
	case end > maxSize || h.size > maxSize: // each element has at least one byte
		return false, false, errSize
	case end > len(data):
		return false, false, nil
	}
	n := h.children()
	if n == 0 {
		s.at = end
		return false, true, nil
	}
	if s.depth == maxNesting {
		return false, false, errNesting
	}
	s.at, s.open[s.depth] = end, n
	s.depth++
	return true, false, nil
}

// shortEnd returns the offset behind the text at an offset if the text has less than 256 bytes, as
// most values have. It returns 0 for other values and incomplete texts.
func shortEnd(data []byte, at int) int {
	if at+1 >= len(data) {
		return 0
	}
	end := 0
	if c := data[at]; c >= 0xa0 && c < 0xc0 {
		end = at + 1 + int(c&0x1f)
	} else if c == 0xd9 {
		end = at + 2 + int(data[at+1])
	}
	if end > len(data) {
		return 0
	}
	return end
}

// skip returns the offset behind the complete value at an offset.
func skip(data []byte, at int) int {
	for missing := 1; missing > 0; missing-- {
		if end := shortEnd(data, at); end > 0 {
			at = end
			continue
		}
		h, _ := parseHead(data, at)
		at = h.end()
		missing += h.children()
	}
	return at
}

// text returns the bytes of a text at an offset, or nil if the value there is not a text.
func text(data []byte, at int) []byte {
	h, _ := parseHead(data, at)
	if h.kind != kindStr && h.kind != kindBin {
		return nil
	}
	return data[h.next:h.end()]
}
