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

// sizes yields the number of messages of each packet.
type sizes struct {
	ranges []sizeRange
	index  int
	random *rand.Rand
}

// sizeRange is an inclusive range of sizes.
type sizeRange struct{ min, max int }

func parseSizes(text string, seed uint64) (*sizes, error) {
	s := &sizes{random: rand.New(rand.NewPCG(seed, 0))}
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

func (s *sizes) next() int {
	one := s.ranges[s.index]
	s.index = (s.index + 1) % len(s.ranges)
	return one.min + s.random.IntN(one.max-one.min+1)
}
