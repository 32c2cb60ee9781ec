package packet

import (
	"encoding/binary"
	"math/bits"
)

// The fast path reads members in their most frequent form and never refuses them. The functions
// message and metadata read all other members again, and apply all rules.

// fastMembers reads members of a message in their most frequent form. It returns the
// offset of the first other member and the keys before it, or the offset after a
// complete message.
func (c *checker) fastMembers(at int, seen key) (next int, _ key, complete bool) {
	const maxLen = len(`"timestamp":`)
	for at+maxLen <= len(c.body) {
		name := c.body[at : at+maxLen]
		var this key
		var end int
		switch {
		case string(name) == `"timestamp":`:
			this, end = keyTimestamp, c.fastTimestamp(c.space(at+maxLen))
		case string(name[:len(`"level":`)]) == `"level":` && seen&keyLevel == 0:
			this, end = keyLevel, c.fastLevel(c.space(at+len(`"level":`)))
		case string(name[:len(`"message":`)]) == `"message":`:
			this, end = keyMessage, c.fastText(c.space(at+len(`"message":`)))
		case string(name[:len(`"metadata":`)]) == `"metadata":`:
			this, end = keyMetadata, c.metadata(c.space(at+len(`"metadata":`)))
		}
		if this == keyUnknown || end == refused || end >= len(c.body) || seen&this != 0 {
			return at, seen, false
		}
		switch c.body[end] {
		case ',':
			at, seen = c.space(end+1), seen|this
		case '}':
			if requiredInMessage&^(seen|this) == 0 {
				return end + 1, seen, true
			}
			return at, seen, false
		default:
			return at, seen, false
		}
	}
	return at, seen, false
}

// fastTimestamp reads a timestamp, with a fast path for 13 digits. Its caller checks
// the byte after the number.
func (c *checker) fastTimestamp(at int) int {
	const digits = 13 // from the year 2001 to 2286
	if at+digits <= len(c.body) {
		text := c.body[at : at+digits]
		first, last := binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[digits-8:])
		if allDigits(first) && allDigits(last) && text[0] != '0' {
			return at + digits
		}
	}
	return c.timestamp(at)
}

const eachByte = 0x0101010101010101

// allDigits reports whether eight bytes are digits.
func allDigits(eight uint64) bool {
	values := eight ^ eachByte*'0'
	return (values+eachByte*(0x80-10)|values)&(eachByte<<7) == 0
}

// fastLevel reads a level, with a fast path for the most frequent ones.
func (c *checker) fastLevel(at int) int {
	const maxLen = len(`"ERROR"`)
	if at+maxLen > len(c.body) {
		return refused
	}
	text := c.body[at : at+maxLen]
	level, end := LevelInfo, at+len(`"INFO"`)
	switch string(text[:len(`"INFO"`)]) {
	case `"INFO"`, `"info"`:
	case `"WARN"`, `"warn"`:
		level = LevelWarn
	default:
		end = at + maxLen
		switch string(text) {
		case `"DEBUG"`, `"debug"`:
			level = LevelDebug
		case `"ERROR"`, `"error"`:
			level = LevelError
		default:
			return c.messageMember(keyLevel, at)
		}
	}
	c.info.Level = max(c.info.Level, level)
	return end
}

// fastText reads the text of a message, with a fast path for plain text.
func (c *checker) fastText(at int) int {
	if c.at(at) == '"' {
		start := at + 1
		ahead := c.ahead(start)
		end := start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			end = c.plainEnd(start)
		}
		if end < len(c.body) && c.body[end] == '"' && end > start {
			return end + 1
		}
	}
	return c.messageMember(keyMessage, at)
}

// fastPairs reads plain members of metadata. It returns the offset of the first other
// member, or the offset after a complete object.
func (c *checker) fastPairs(at int) (next int, complete bool) {
	body := c.body
	for at < len(body) && body[at] == '"' {
		start := at + 1
		ahead := c.ahead(start)
		end := start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			end = c.plainEnd(start)
		}
		const maxLen = len(`": "`)
		if end+maxLen > len(body) {
			return at, false
		}
		value := end + maxLen
		if between := body[end : end+maxLen]; string(between[:len(`":"`)]) == `":"` {
			value--
		} else if string(between) != `": "` {
			return at, false
		}
		// Two marks are consumed; the next one may be the end of the value.
		ahead &= ahead - 1
		ahead &= ahead - 1
		end = start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			end = c.plainEnd(value)
		}
		if end+1 >= len(body) || body[end] != '"' {
			return at, false
		}
		switch body[end+1] {
		case ',':
			at = c.space(end + 2)
		case '}':
			return end + 2, true
		default:
			return at, false
		}
	}
	return at, false
}
