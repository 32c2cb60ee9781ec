package emitter

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// maxPacketMessages bounds the messages of a packet, and so the emitter's
// memory.
const maxPacketMessages = 100_000

// Sizes yields the number of messages of each packet.
type Sizes struct {
	ranges []sizeRange
	index  int
	random *rand.Rand
}

// sizeRange is an inclusive range of sizes.
type sizeRange struct{ min, max int }

// ParseSizes parses Config.PacketSize.
func ParseSizes(text string, seed uint64) (*Sizes, error) {
	s := &Sizes{random: rand.New(rand.NewPCG(seed, 0))}
	for item := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			high = low
		}
		lo, err1 := strconv.Atoi(low)
		hi, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || lo < 1 || lo > hi || hi > maxPacketMessages {
			return nil, fmt.Errorf("PACKET_SIZE: %q is not allowed: it must be a number of messages from 1 to %d, a range such as 1-100, or several of them such as 5,20",
				text, maxPacketMessages)
		}
		s.ranges = append(s.ranges, sizeRange{lo, hi})
	}
	return s, nil
}

// Next returns the size of the next packet.
func (s *Sizes) Next() int {
	one := s.ranges[s.index]
	s.index = (s.index + 1) % len(s.ranges)
	return one.min + s.random.IntN(one.max-one.min+1)
}
