package demo

import "sync"

// arrivals records of each sender which of its numbers have arrived at analyzers, however often
// and at whichever analyzer. It may be used concurrently.
type arrivals struct {
	mu      sync.Mutex // guards the field below
	senders map[string]*arrived
}

// arrived is what has arrived of a sender. A number that arrives again counts only as that.
type arrived struct {
	seen     []uint64 // a bit for each number
	numbers  int64
	messages int64
	again    int64 // arrivals of numbers that had arrived
}

// maxNumber bounds the memory of a sender to 16 MiB.
const maxNumber = 1 << 27

func newArrivals(senders ...string) *arrivals {
	a := &arrivals{senders: make(map[string]*arrived)}
	for _, s := range senders {
		a.senders[s] = &arrived{}
	}
	return a
}

// note records a number with its messages. It returns false for what no sender of the demo can
// have sent.
func (a *arrivals) note(sender string, number int64, messages int) (known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.senders[sender]
	if s == nil || number < 1 || number > maxNumber {
		return false
	}
	word, bit := int(number/64), uint64(1)<<(number%64)
	for word >= len(s.seen) {
		s.seen = append(s.seen, 0)
	}
	if s.seen[word]&bit != 0 {
		s.again++
		return true
	}
	s.seen[word] |= bit
	s.numbers++
	s.messages += int64(messages)
	return true
}

// of returns what has arrived of a sender.
func (a *arrivals) of(sender string) arrived {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := *a.senders[sender]
	s.seen = nil
	return s
}

// sum returns what has arrived of all.
func (a *arrivals) sum() (all arrived) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.senders {
		all.numbers += s.numbers
		all.messages += s.messages
		all.again += s.again
	}
	return all
}
