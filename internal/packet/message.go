package packet

import (
	"bytes"
	"fmt"
	"strconv"
)

// The depth of values in a packet: how many objects and arrays are around them.
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
		var whole bool
		if at, seen, whole = c.usualMembers(at, seen); whole {
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

// levelOf returns the level that a text stands for; LevelInfo if unknown.
func levelOf(text Text, body []byte) Level {
	raw := text.Raw(body)
	if text.escaped {
		if len(raw) > longestLevelName*escapeLen {
			return LevelInfo
		}
		var decoded [longestLevelName * escapeLen]byte
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
		var whole bool
		if at, whole = c.usualPairs(at); whole {
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
	const surelyFits = 18 // digits
	if first := c.at(at); '1' <= first && first <= '9' {
		end := at + 1
		for isDigit(c.at(end)) {
			end++
		}
		if next := c.at(end); end-at <= surelyFits && next != '.' && next|0x20 != 'e' {
			return end
		}
	}
	return c.unusualTimestamp(at)
}

func (c *checker) unusualTimestamp(at int) int {
	const wanted = "a positive integer of milliseconds"
	if first := c.at(at); first != '-' && !isDigit(first) {
		return c.wrongType(at, depthInMessage, wanted)
	}
	end := c.number(at)
	if end == refused {
		return refused
	}
	number := c.body[at:end]
	switch {
	case bytes.ContainsAny(number, ".eE"):
		return c.invalid(at, "must be "+wanted+", without fraction or exponent")
	case number[0] == '-' || number[0] == '0':
		return c.invalid(at, "must be "+wanted+", so above 0")
	case tooBig(number):
		return c.invalid(at, "must be "+wanted+" that fits into 64 bits with sign")
	}
	return end
}

// tooBig tells whether a run of digits that starts with 1 to 9 is above the
// largest 64-bit integer with sign.
func tooBig(digits []byte) bool {
	const longest = len("9223372036854775807")
	if len(digits) != longest {
		return len(digits) > longest
	}
	_, err := strconv.ParseInt(string(digits), 10, 64)
	return err != nil
}
