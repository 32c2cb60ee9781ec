package forward

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// extension is an extension in pack.
type extension struct {
	kind    int8
	content []byte
}

// pairs is a map with an order, in pack and as the result of decode.
type pairs [][2]any

// pack encodes values, each in its longest format.
func pack(values ...any) (data []byte) {
	size := func(head byte, n int) { data = binary.BigEndian.AppendUint32(append(data, head), uint32(n)) }
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			data = append(data, 0xc0)
		case bool:
			data = append(data, map[bool]byte{false: 0xc2, true: 0xc3}[v])
		case int:
			data = binary.BigEndian.AppendUint64(append(data, 0xd3), uint64(v))
		case uint64:
			data = binary.BigEndian.AppendUint64(append(data, 0xcf), v)
		case float64:
			data = binary.BigEndian.AppendUint64(append(data, 0xcb), math.Float64bits(v))
		case string:
			size(0xdb, len(v))
			data = append(data, v...)
		case []byte:
			size(0xc6, len(v))
			data = append(data, v...)
		case extension:
			size(0xc9, len(v.content))
			data = append(append(data, byte(v.kind)), v.content...)
		case []any:
			size(0xdd, len(v))
			data = append(data, pack(v...)...)
		case pairs:
			size(0xdf, len(v))
			for _, pair := range v {
				data = append(data, pack(pair[0], pair[1])...)
			}
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return data
}

// packTime encodes an EventTime.
func packTime(at time.Time) extension {
	content := binary.BigEndian.AppendUint32(nil, uint32(at.Unix()))
	return extension{0, binary.BigEndian.AppendUint32(content, uint32(at.Nanosecond()))}
}

var errEnd = errors.New("the data ends")

// decode is a slow decoder of one value that follows the specification's table of formats.
func decode(data []byte, depth int) (value any, rest []byte, err error) {
	if len(data) == 0 {
		return nil, nil, errEnd
	}
	c, rest := data[0], data[1:]
	switch {
	case c <= 0x7f:
		return int64(c), rest, nil
	case c <= 0x8f:
		return decodeMap(int(c&0xf), rest, depth)
	case c <= 0x9f:
		return decodeArray(int(c&0xf), rest, depth)
	case c <= 0xbf:
		return decodeText(int(c&0x1f), rest, func(b []byte) any { return string(b) })
	case c >= 0xe0:
		return int64(int8(c)), rest, nil
	}
	switch c {
	case 0xc0:
		return nil, rest, nil
	case 0xc1:
		return nil, nil, errInvalid
	case 0xc2, 0xc3:
		return c == 0xc3, rest, nil
	}
	if c >= 0xd4 && c <= 0xd8 {
		return decodeExtension(1<<(c-0xd4), rest)
	}
	return decodeSized(c, rest, depth)
}

// decodeSized decodes a value whose format byte is followed by a number of 1 to 8 bytes: the value
// itself or its size.
func decodeSized(format byte, data []byte, depth int) (value any, rest []byte, err error) {
	width := map[byte]int{
		0xc4: 1, 0xc5: 2, 0xc6: 4, 0xc7: 1, 0xc8: 2, 0xc9: 4, 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8,
		0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4,
	}[format]
	if len(data) < width {
		return nil, nil, errEnd
	}
	var number uint64
	for _, b := range data[:width] {
		number = number<<8 | uint64(b)
	}
	rest = data[width:]
	switch {
	case format >= 0xca && format <= 0xd3:
		return decodeNumber(format, number), rest, nil
	case format <= 0xc6:
		return decodeText(int(number), rest, func(b []byte) any { return append([]byte{}, b...) })
	case format <= 0xc9:
		return decodeExtension(int(number), rest)
	case format <= 0xdb:
		return decodeText(int(number), rest, func(b []byte) any { return string(b) })
	case format <= 0xdd:
		return decodeArray(int(number), rest, depth)
	default:
		return decodeMap(int(number), rest, depth)
	}
}

// decodeNumber returns the number of a format float, uint or int from its bits.
func decodeNumber(format byte, bits uint64) any {
	switch format {
	case 0xca:
		return float64(math.Float32frombits(uint32(bits)))
	case 0xcb:
		return math.Float64frombits(bits)
	case 0xcc, 0xcd, 0xce, 0xcf:
		if bits <= math.MaxInt64 {
			return int64(bits)
		}
		return bits
	case 0xd0:
		return int64(int8(bits))
	case 0xd1:
		return int64(int16(bits))
	case 0xd2:
		return int64(int32(bits))
	default:
		return int64(bits)
	}
}

func decodeText(size int, data []byte, convert func([]byte) any) (any, []byte, error) {
	if len(data) < size {
		return nil, nil, errEnd
	}
	return convert(data[:size]), data[size:], nil
}

func decodeExtension(size int, data []byte) (any, []byte, error) {
	if len(data) < 1+size {
		return nil, nil, errEnd
	}
	return extension{int8(data[0]), data[1 : 1+size]}, data[1+size:], nil
}

func decodeArray(size int, data []byte, depth int) (any, []byte, error) {
	if depth == maxNesting && size > 0 {
		return nil, nil, errNesting
	}
	elements := []any{}
	for range size {
		element, rest, err := decode(data, depth+1)
		if err != nil {
			return nil, nil, err
		}
		elements, data = append(elements, element), rest
	}
	return elements, data, nil
}

func decodeMap(size int, data []byte, depth int) (any, []byte, error) {
	elements, rest, err := decodeArray(2*size, data, depth)
	if err != nil {
		return nil, nil, err
	}
	result := pairs{}
	for n, list := 0, elements.([]any); n < len(list); n += 2 {
		result = append(result, [2]any{list[n], list[n+1]})
	}
	return result, rest, nil
}

// toJSON is a slow encoder for values that decode returns.
func toJSON(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return floatJSON(v)
	case string:
		return quoted(v)
	case []byte:
		if utf8.Valid(v) {
			return quoted(string(v))
		}
		return quoted(base64.StdEncoding.EncodeToString(v))
	case extension:
		if v.kind == 0 && len(v.content) == 8 {
			at := time.Unix(int64(binary.BigEndian.Uint32(v.content)), int64(binary.BigEndian.Uint32(v.content[4:])))
			return quoted(at.UTC().Format(time.RFC3339Nano))
		}
		return quoted(base64.StdEncoding.EncodeToString(v.content))
	case []any:
		var elements []string
		for _, element := range v {
			elements = append(elements, toJSON(element))
		}
		return "[" + strings.Join(elements, ",") + "]"
	case pairs:
		var members []string
		for _, pair := range v {
			name := toJSON(pair[0])
			if name[0] != '"' {
				name = quoted(name)
			}
			members = append(members, name+":"+toJSON(pair[1]))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	panic(fmt.Sprintf("%T", value))
}

func quoted(text string) string {
	encoded, _ := json.Marshal(text)
	return string(encoded)
}

// floatJSON writes a float so that it differs from an integer; NaN and infinity are strings.
func floatJSON(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return quoted(text)
	case strings.Trim(text, "-0123456789") == "":
		return text + ".0"
	default:
		return text
	}
}
