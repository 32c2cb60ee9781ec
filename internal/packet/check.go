package packet

import (
	"fmt"
	"math"
)

// MaxIDBytes is the maximum length of emitter_id and packet_id, in bytes without
// JSON escapes. It limits the Idempotency-Key header.
const MaxIDBytes = 1024

// Check validates a body in a single pass. A packet is one JSON object (RFC 8259,
// valid UTF-8, nesting of at most MaxDepth) with emitter_id, packet_id and 1 to
// maxMessages messages, each with timestamp, level, message and optionally
// metadata: null, or an object of strings and nulls. Ids have no lone surrogates.
// Only white space may surround the object. Names are matched exactly after
// unescaping, in any order; a known name must not occur twice in an object, and
// unknown names may have any value.
//
// The error is a *Refusal, and Info then holds what was read before it. Check does
// not allocate for a valid body. It may be called concurrently.
func Check(body []byte, maxMessages int) (Info, error) {
	return check(body, maxMessages, false, hasVectors)
}

// Recheck is Check for a stored packet, which an earlier version may have accepted
// with lone surrogates in ids.
func Recheck(body []byte, maxMessages int) (Info, error) {
	return check(body, maxMessages, true, hasVectors)
}

func check(body []byte, maxMessages int, accepted, vectors bool) (Info, error) {
	if int64(len(body)) > math.MaxInt32 {
		return Info{}, &Refusal{Code: CodeTooLarge, Detail: "the packet has more than 2147483647 bytes"}
	}
	c := checker{scanner: scanner{body: body}, maxMessages: maxMessages, accepted: accepted}
	c.marks.vectors = vectors
	end := c.document()
	c.info.SpansLines = c.spansLines
	if end != refused {
		return c.info, nil
	}
	refusal := c.refusal
	refusal.PacketID = c.info.PacketID
	refusal.complete()
	return c.info, &refusal
}

// checker validates a packet.
type checker struct {
	scanner
	info        Info
	maxMessages int
	accepted    bool // for Recheck
}

// document reads the packet and the white space around it.
func (c *checker) document() int {
	end := c.packet(c.space(0))
	if end == refused {
		return refused
	}
	end = c.space(end)
	if end < len(c.body) {
		return c.malformed(end, "nothing may follow the packet but "+c.found(end)+" does")
	}
	return end
}

func (c *checker) packet(at int) int {
	if c.at(at) != '{' {
		return c.wrongType(at, 0, "an object")
	}
	at = c.space(at + 1)
	if c.at(at) == '}' {
		return c.missing(at, requiredInPacket)
	}
	var seen key
	for {
		key, value := c.packetKey(at)
		if value == refused {
			return refused
		}
		if seen&key != 0 {
			return c.duplicate(at)
		}
		seen |= key
		end := c.packetMember(key, value)
		if end == refused {
			return c.within(at)
		}
		next, more := c.next(end, '}')
		if !more {
			if missing := requiredInPacket &^ seen; missing != 0 && next != refused {
				return c.missing(next-1, missing)
			}
			return next
		}
		at = next
	}
}

func (c *checker) packetMember(key key, value int) (end int) {
	switch key {
	case keyEmitterID:
		c.info.EmitterID, end = c.id(value)
		return end
	case keyPacketID:
		c.info.PacketID, end = c.id(value)
		return end
	case keyMessages:
		return c.messages(value)
	default:
		return c.value(value, depthInPacket)
	}
}

func (c *checker) id(at int) (id Text, end int) {
	id, end = c.filledText(at, depthInPacket)
	if end == refused {
		return Text{}, refused
	}
	if id.Len() > MaxIDBytes && id.DecodedLen(c.body) > MaxIDBytes {
		return Text{}, c.invalid(at, fmt.Sprintf("must not be longer than %d bytes", MaxIDBytes))
	}
	// Every lone surrogate decodes to U+FFFD, so that different ids would be equal.
	if lone := id.loneSurrogate(c.body); lone >= 0 && !c.accepted {
		return Text{}, c.invalid(lone, "must not have a surrogate without the other half of its pair")
	}
	return id, end
}

// within prefixes the refusal's path with the name at the offset.
func (c *checker) within(at int) int {
	name, _ := c.text(at)
	c.refusal.prefix(printable(name, c.body))
	return refused
}

// duplicate refuses a known name that occurs again at the offset.
func (c *checker) duplicate(at int) int {
	c.invalid(at, "must not occur twice in one object")
	return c.within(at)
}

// missing refuses an object that ends at the offset without the keys, and names
// the first of them.
func (c *checker) missing(at int, keys key) int {
	first := keys & -keys
	c.invalid(at, "is required but missing from the object that ends here")
	c.refusal.prefix(first.String())
	return refused
}
