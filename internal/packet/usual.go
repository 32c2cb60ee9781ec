package packet

import (
	"encoding/binary"
	"math/bits"
)

// What stands here makes Check fast and nothing else: it reads members that are
// written as nearly all are, and never judges. Where it finds something else it
// says so, and message and metadata read the member again, by the rules.

// usualMembers reads members of a message for as long as they are written as
// usual. It returns where the first other one starts and which keys were seen
// before, or that it read the whole message and what follows it.
func (c *checker) usualMembers(at int, seen key) (next int, _ key, whole bool) {
	const longest = len(`"timestamp":`)
	for at+longest <= len(c.body) {
		name := c.body[at : at+longest]
		var this key
		var end int
		switch {
		case string(name) == `"timestamp":`:
			this, end = keyTimestamp, c.usualTimestamp(c.space(at+longest))
		case string(name[:len(`"level":`)]) == `"level":` && seen&keyLevel == 0:
			this, end = keyLevel, c.usualLevel(c.space(at+len(`"level":`)))
		case string(name[:len(`"message":`)]) == `"message":`:
			this, end = keyMessage, c.usualText(c.space(at+len(`"message":`)))
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

// usualTimestamp reads a timestamp, faster if it is of our time. Whether that
// is all of the number shows in what follows, which usualMembers looks at.
func (c *checker) usualTimestamp(at int) int {
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

// allDigits tells whether eight bytes are digits.
func allDigits(eight uint64) bool {
	values := eight ^ eachByte*'0'
	return (values+eachByte*(0x80-10)|values)&(eachByte<<7) == 0
}

// usualLevel reads a level, faster if it is one of the most frequent.
func (c *checker) usualLevel(at int) int {
	const longest = len(`"ERROR"`)
	if at+longest > len(c.body) {
		return refused
	}
	text := c.body[at : at+longest]
	level, end := LevelInfo, at+len(`"INFO"`)
	switch string(text[:len(`"INFO"`)]) {
	case `"INFO"`, `"info"`:
	case `"WARN"`, `"warn"`:
		level = LevelWarn
	default:
		end = at + longest
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

// usualText reads the text of a message, faster if it is plain.
func (c *checker) usualText(at int) int {
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

// usualPairs reads members of metadata for as long as they are plain. It
// returns where the first other one starts, or that it read all of them and
// the closing bracket and what follows it.
func (c *checker) usualPairs(at int) (next int, whole bool) {
	body := c.body
	for at < len(body) && body[at] == '"' {
		start := at + 1
		ahead := c.ahead(start)
		end := start + bits.TrailingZeros64(ahead)
		if ahead == 0 {
			end = c.plainEnd(start)
		}
		const longest = len(`": "`)
		if end+longest > len(body) {
			return at, false
		}
		value := end + longest
		if between := body[end : end+longest]; string(between[:len(`":"`)]) == `":"` {
			value--
		} else if string(between) != `": "` {
			return at, false
		}
		// Two marks are behind us, so the same look may show the value's end.
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
