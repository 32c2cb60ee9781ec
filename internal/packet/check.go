package packet

import (
	"fmt"
	"math"
)

// MaxIDBytes is how long emitter_id and packet_id may be, in bytes without JSON
// escapes. It bounds the Idempotency-Key header that is made from them.
const MaxIDBytes = 1024

// Check reads a packet's body once and tells whether it is a packet: one JSON
// object (RFC 8259, valid UTF-8, nested at most MaxDepth deep) with emitter_id,
// packet_id and 1 to maxMessages messages, each with timestamp, level and
// message and, if it likes, metadata: null, or an object of strings and nulls.
// Ids have no lone surrogates. White space around the object is allowed, any
// other text is not. Names are exact, whatever their order and however they
// are escaped; a known one may not stand twice in an object; unknown ones are
// allowed with any value.
//
// The error is a *Refusal, and Info then holds what was known up to the fault.
// Check allocates nothing for a body that it accepts. It may be called
// concurrently.
func Check(body []byte, maxMessages int) (Info, error) {
	return check(body, maxMessages, false, hasVectors)
}

// Recheck is Check for a packet that was accepted before, maybe by an earlier
// version, which allowed lone surrogates in ids.
func Recheck(body []byte, maxMessages int) (Info, error) {
	return check(body, maxMessages, true, hasVectors)
}

func check(body []byte, maxMessages int, accepted, vectors bool) (Info, error) {
	if int64(len(body)) > math.MaxInt32 {
		return Info{}, &Refusal{Code: CodeTooLarge, Detail: "the packet has more than 2147483647 bytes"}
	}
	c := checker{scanner: scanner{body: body}, maxMessages: maxMessages, accepted: accepted}
	c.marks.vectors = vectors
	end := c.whole()
	c.info.SpansLines = c.spansLines
	if end != refused {
		return c.info, nil
	}
	refusal := c.refusal
	refusal.PacketID = c.info.PacketID
	refusal.complete()
	return c.info, &refusal
}

// checker reads a packet: a scanner that knows the rules.
type checker struct {
	scanner
	info        Info
	maxMessages int
	accepted    bool // by this version or an earlier one
}

// whole reads the packet and the white space around it.
func (c *checker) whole() int {
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
	if id.Len() > MaxIDBytes && id.decodedLen(c.body) > MaxIDBytes {
		return Text{}, c.invalid(at, fmt.Sprintf("must not be longer than %d bytes", MaxIDBytes))
	}
	// Every lone surrogate decodes to U+FFFD, so that different ids would be one.
	if lone := id.loneSurrogate(c.body); lone >= 0 && !c.accepted {
		return Text{}, c.invalid(lone, "must not have a surrogate without the other half of its pair")
	}
	return id, end
}

// within puts the name that starts at the offset before the refusal's path.
func (c *checker) within(at int) int {
	name, _ := c.text(at)
	c.refusal.prefix(shorten(name, c.body))
	return refused
}

// duplicate refuses the known name at the offset, which its object has already.
func (c *checker) duplicate(at int) int {
	c.invalid(at, "must not stand twice in one object")
	return c.within(at)
}

// missing refuses an object that ends at the offset without the keys; it names
// the first of them.
func (c *checker) missing(at int, keys key) int {
	first := keys & -keys
	c.invalid(at, "is required but missing from the object that ends here")
	c.refusal.prefix(first.String())
	return refused
}
