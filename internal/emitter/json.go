package emitter

import (
	"maps"
	"slices"
	"strconv"
)

const hexDigits = "0123456789abcdef"

// appendString appends text, which must be valid UTF-8, as a JSON string.
func appendString[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}

// record is a message before encoding. Its strings are valid UTF-8.
type record struct {
	// time is in milliseconds since 1970 and positive.
	time int64
	// level and text are not empty.
	level, text string
	metadata    map[string]string
}

// append appends the record as a JSON message.
func (r record) append(dst []byte) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = strconv.AppendInt(dst, r.time, 10)
	dst = append(dst, `,"level":`...)
	dst = appendString(dst, r.level)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, r.text)
	if len(r.metadata) > 0 {
		dst = append(dst, `,"metadata":`...)
		dst = appendMetadata(dst, r.metadata)
	}
	return append(dst, '}')
}

func appendMetadata(dst []byte, metadata map[string]string) []byte {
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = appendString(append(dst, separator), key)
		dst = appendString(append(dst, ':'), metadata[key])
	}
	return append(dst, '}')
}
