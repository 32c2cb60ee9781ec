package forward

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/logstreamer/logstreamer/internal/protocol/record"
)

// appendJSON appends a complete value as JSON, and returns the offset behind it. Text with invalid
// UTF-8 is copied unchanged; package record replaces it. Binary data becomes a string: the text if
// it is valid UTF-8, otherwise base64.
func appendJSON(dst, data []byte, at int) (result []byte, end int) {
	if c := data[at]; c >= 0xa0 && c < 0xc0 { // a short text
		end = at + 1 + int(c&0x1f)
		return append(record.AppendEscaped(append(dst, '"'), data[at+1:end]), '"'), end
	}
	h, _ := parseHead(data, at)
	end = h.end()
	switch h.kind {
	case kindBool:
		return strconv.AppendBool(dst, h.number == 1), end
	case kindInt:
		return strconv.AppendInt(dst, int64(h.number), 10), end
	case kindUint:
		return strconv.AppendUint(dst, h.number, 10), end
	case kindFloat:
		return appendFloat(dst, math.Float64frombits(h.number)), end
	case kindStr:
		return append(record.AppendEscaped(append(dst, '"'), data[h.next:end]), '"'), end
	case kindBin:
		if content := data[h.next:end]; utf8.Valid(content) {
			return append(record.AppendEscaped(append(dst, '"'), content), '"'), end
		}
		return appendBase64(dst, data[h.next:end]), end
	case kindExt:
		if nanoseconds, ok := eventTime(&h, data); ok {
			return append(time.Unix(0, nanoseconds).UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), end
		}
		return appendBase64(dst, data[h.next:end]), end
	case kindArray:
		return appendArray(dst, data, &h)
	case kindMap:
		return appendMap(dst, data, &h)
	default:
		return append(dst, "null"...), end
	}
}

func appendBase64(dst, content []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), content), '"')
}

// appendFloat appends a number that is not an integer as JSON, or as a string if JSON cannot
// express it.
func appendFloat(dst []byte, value float64) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return append(strconv.AppendFloat(append(dst, '"'), value, 'g', -1, 64), '"')
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, value, 'g', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, '.', '0')
}

func appendArray(dst, data []byte, h *head) (result []byte, end int) {
	dst, end = append(dst, '['), h.next
	for n := range h.size {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst, end = appendJSON(dst, data, end)
	}
	return append(dst, ']'), end
}

func appendMap(dst, data []byte, h *head) (result []byte, end int) {
	dst, end = append(dst, '{'), h.next
	for n := range h.size {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst, end = appendName(dst, data, end)
		dst, end = appendJSON(append(dst, ':'), data, end)
	}
	return append(dst, '}'), end
}

// appendName appends the key of a map as the name of a member: the JSON of a number, and the
// MessagePack of an array or a map in base64, since escapes of escapes would double with each level.
func appendName(dst, data []byte, at int) (result []byte, end int) {
	if c := data[at]; c >= 0x80 && c < 0xa0 || c >= 0xdc && c <= 0xdf {
		end = skip(data, at)
		return appendBase64(dst, data[at:end]), end
	}
	start := len(dst)
	if dst, end = appendJSON(dst, data, at); dst[start] != '"' {
		name := string(dst[start:])
		dst = append(record.AppendEscaped(append(dst[:start], '"'), []byte(name)), '"')
	}
	return dst, end
}

const (
	eventTimeExt   = 0
	eventTimeBytes = 8
)

// eventTime returns the nanoseconds since 1970 of an EventTime.
func eventTime(h *head, data []byte) (nanoseconds int64, ok bool) {
	if h.kind != kindExt || h.ext != eventTimeExt || h.size != eventTimeBytes {
		return 0, false
	}
	content := data[h.next:h.end()]
	return int64(bigEndian(content[:4]))*int64(time.Second) + int64(bigEndian(content[4:])), true
}

// timestamp returns the nanoseconds since 1970 of an event's time, or 0 if it has none. The time is
// an EventTime, or a number of seconds, or of milliseconds if it is large.
func timestamp(data []byte, at int) int64 {
	const maxSeconds = 1e11
	h, _ := parseHead(data, at)
	switch h.kind {
	case kindExt:
		nanoseconds, _ := eventTime(&h, data)
		return nanoseconds
	case kindInt:
		switch n := int64(h.number); {
		case n <= 0:
			return 0
		case n <= math.MaxInt64/int64(time.Second):
			return n * int64(time.Second)
		case n > maxSeconds && n <= math.MaxInt64/int64(time.Millisecond):
			return n * int64(time.Millisecond)
		}
	case kindFloat:
		seconds := math.Float64frombits(h.number)
		if whole, fraction := math.Modf(seconds); seconds > 0 && whole <= math.MaxInt64/1e9-1 {
			return int64(whole)*int64(time.Second) + int64(fraction*1e9)
		}
	}
	return 0
}
