package emitter

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// maxPacketSize bounds the messages of one packet, and with it an emitter's
// memory.
const maxPacketSize = 100_000

// sizes yields the number of messages of each packet in turn.
type sizes struct {
	spans  []span
	turn   int
	random *rand.Rand
}

// span is a range of sizes, both ends included.
type span struct{ least, most int }

func parseSizes(text string, seed uint64) (*sizes, error) {
	s := &sizes{random: rand.New(rand.NewPCG(seed, 0))}
	for item := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			high = low
		}
		least, err1 := strconv.Atoi(low)
		most, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || least < 1 || least > most || most > maxPacketSize {
			return nil, fmt.Errorf("PACKET_SIZE: %q is not allowed: it must be a number of messages from 1 to %d, a range such as 1-100, or several of them such as 5,20",
				text, maxPacketSize)
		}
		s.spans = append(s.spans, span{least, most})
	}
	return s, nil
}

func (s *sizes) next() int {
	one := s.spans[s.turn]
	s.turn = (s.turn + 1) % len(s.spans)
	return one.least + s.random.IntN(one.most-one.least+1)
}
