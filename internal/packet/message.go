package packet

import (
	"bytes"
	"fmt"
	"strconv"
)

// Nesting depths of values in a packet.
const (
	depthInPacket   = 1
	depthInMessages = 2
	depthInMessage  = 3
	depthInMetadata = 4
)

// messages reads the array of messages.
func (c *checker) messages(at int) int {
	if c.at(at) != '[' {
		return c.wrongType(at, depthInPacket, "an array of messages")
	}
	at = c.space(at + 1)
	if c.at(at) == ']' {
		return c.invalid(at, "must have at least one message")
	}
	for {
		if c.info.Messages == c.maxMessages {
			return c.refuse(CodeTooLarge, at, fmt.Sprintf("has more than %d messages", c.maxMessages))
		}
		end := c.message(at)
		if end == refused {
			c.refusal.prefix(fmt.Sprintf("[%d]", c.info.Messages))
			return refused
		}
		c.info.Messages++
		next, more := c.next(end, ']')
		if !more {
			return next
		}
		at = next
	}
}

func (c *checker) message(at int) int {
	if c.at(at) != '{' {
		return c.wrongType(at, depthInMessages, "an object")
	}
	at = c.space(at + 1)
	if c.at(at) == '}' {
		return c.missing(at, requiredInMessage)
	}
	var seen key
	for {
		var complete bool
		if at, seen, complete = c.fastMembers(at, seen); complete {
			return at
		}
		key, value := c.anyKey(at, messageKeys)
		if value == refused {
			return refused
		}
		if seen&key != 0 {
			return c.duplicate(at)
		}
		seen |= key
		end := c.messageMember(key, value)
		if end == refused {
			return c.within(at)
		}
		next, more := c.next(end, '}')
		if !more {
			if missing := requiredInMessage &^ seen; missing != 0 && next != refused {
				return c.missing(next-1, missing)
			}
			return next
		}
		at = next
	}
}

func (c *checker) messageMember(key key, value int) int {
	switch key {
	case keyTimestamp:
		return c.timestamp(value)
	case keyLevel:
		text, end := c.filledText(value, depthInMessage)
		if end != refused {
			c.info.Level = max(c.info.Level, levelOf(text, c.body))
		}
		return end
	case keyMessage:
		_, end := c.filledText(value, depthInMessage)
		return end
	case keyMetadata:
		return c.metadata(value)
	default:
		return c.value(value, depthInMessage)
	}
}

// levelOf returns the level of a text; LevelInfo if unknown.
func levelOf(text Text, body []byte) Level {
	raw := text.Raw(body)
	if text.escaped {
		if len(raw) > maxLevelNameLen*escapeLen {
			return LevelInfo
		}
		var decoded [maxLevelNameLen * escapeLen]byte
		raw = text.AppendDecoded(decoded[:0], body)
	}
	level, _ := ParseLevel(raw)
	return level
}

// filledText reads a string that may not be empty.
func (c *checker) filledText(at, depth int) (text Text, end int) {
	if c.at(at) != '"' {
		return Text{}, c.wrongType(at, depth, "a string that is not empty")
	}
	text, end = c.text(at)
	if end != refused && text.IsEmpty() {
		return Text{}, c.invalid(at, "must not be empty")
	}
	return text, end
}

// metadata reads an object of strings, or null.
func (c *checker) metadata(at int) int {
	switch c.at(at) {
	case '{':
	case 'n':
		return c.literal(at, "null")
	default:
		return c.wrongType(at, depthInMessage, "an object of strings, or null")
	}
	at = c.space(at + 1)
	if c.at(at) == '}' {
		return at + 1
	}
	for {
		var complete bool
		if at, complete = c.fastPairs(at); complete {
			return at
		}
		_, value := c.name(at)
		if value == refused {
			return refused
		}
		end := c.metadataValue(value)
		if end == refused {
			return c.within(at)
		}
		next, more := c.next(end, '}')
		if !more {
			return next
		}
		at = next
	}
}

func (c *checker) metadataValue(at int) int {
	switch c.at(at) {
	case '"':
		_, end := c.text(at)
		return end
	case 'n':
		return c.literal(at, "null")
	default:
		return c.wrongType(at, depthInMetadata, "a string, or null")
	}
}

// timestamp reads a positive integer of at most 63 bits.
func (c *checker) timestamp(at int) int {
	const safeDigits = 18 // always fit into 63 bits
	if first := c.at(at); '1' <= first && first <= '9' {
		end := at + 1
		for isDigit(c.at(end)) {
			end++
		}
		if next := c.at(end); end-at <= safeDigits && next != '.' && next|0x20 != 'e' {
			return end
		}
	}
	return c.slowTimestamp(at)
}

func (c *checker) slowTimestamp(at int) int {
	const expected = "a positive integer of milliseconds"
	if first := c.at(at); first != '-' && !isDigit(first) {
		return c.wrongType(at, depthInMessage, expected)
	}
	end := c.number(at)
	if end == refused {
		return refused
	}
	number := c.body[at:end]
	switch {
	case bytes.ContainsAny(number, ".eE"):
		return c.invalid(at, "must be "+expected+", without fraction or exponent")
	case number[0] == '-' || number[0] == '0':
		return c.invalid(at, "must be "+expected+", so above 0")
	case overflows(number):
		return c.invalid(at, "must be "+expected+" that fits into 64 bits with sign")
	}
	return end
}

// overflows reports whether digits without a leading zero exceed the maximum int64.
func overflows(digits []byte) bool {
	const maxLen = len("9223372036854775807")
	if len(digits) != maxLen {
		return len(digits) > maxLen
	}
	_, err := strconv.ParseInt(string(digits), 10, 64)
	return err != nil
}
