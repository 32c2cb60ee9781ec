//go:build linux

package main

// ledger tells whether all that was accepted in a round arrived, packet by
// packet: it knows each by its id.
type ledger struct {
	text *packetText

	first, next int64 // the ids of this round
	accepted    bitmap
	arrived     bitmap

	packets    int64 // accepted
	missing    int64 // accepted and not arrived
	duplicates int64 // arrived again, or after their round
	damaged    int64 // arrived with bytes that nobody sent
}

// open starts a round.
func (l *ledger) open(text *packetText) {
	*l = ledger{text: text, first: l.next, next: l.next, accepted: l.accepted, arrived: l.arrived}
	clear(l.accepted)
	clear(l.arrived)
}

// number returns the first of n new ids.
func (l *ledger) number(n int) int64 {
	first := l.next
	l.next += int64(n)
	return first
}

// accept notes that the packets were answered with 2xx.
func (l *ledger) accept(first int64, n int) {
	l.packets += int64(n)
	for id := first; id < first+int64(n); id++ {
		l.accepted.set(id - l.first)
		if !l.arrived.has(id - l.first) {
			l.missing++
		}
	}
}

// arrive notes a packet that an analyzer has taken.
func (l *ledger) arrive(body []byte) {
	id, ok := l.text.id(body)
	switch {
	case !ok || id >= l.next:
		l.damaged++
	case id < l.first || l.arrived.has(id-l.first):
		l.duplicates++
	default:
		l.arrived.set(id - l.first)
		if l.accepted.has(id - l.first) {
			l.missing--
		}
	}
}

// settled tells whether nothing that was accepted is missing.
func (l *ledger) settled() bool { return l.missing == 0 }

// bitmap is a set of small numbers.
type bitmap []uint64

func (b *bitmap) set(i int64) {
	for int64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitmap) has(i int64) bool {
	return i/64 < int64(len(b)) && b[i/64]&(1<<(i%64)) != 0
}
