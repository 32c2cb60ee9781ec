//go:build linux

package main

// ledger records by packet id what was accepted in a round and what arrived.
type ledger struct {
	text *packetText

	first, next int64 // the ids of this round
	accepted    bitmap
	arrived     bitmap

	packets    int64 // accepted
	missing    int64 // accepted and not arrived
	duplicates int64 // arrived again, or after their round
	damaged    int64 // arrived with bytes that were not sent
}

// open starts a round.
func (l *ledger) open(text *packetText) {
	*l = ledger{text: text, first: l.next, next: l.next, accepted: l.accepted, arrived: l.arrived}
	clear(l.accepted)
	clear(l.arrived)
}

// assignIDs returns the first of n new ids.
func (l *ledger) assignIDs(n int) int64 {
	first := l.next
	l.next += int64(n)
	return first
}

// accept records that the packets were answered with 2xx.
func (l *ledger) accept(first int64, n int) {
	l.packets += int64(n)
	for id := first; id < first+int64(n); id++ {
		l.accepted.set(id - l.first)
		if !l.arrived.has(id - l.first) {
			l.missing++
		}
	}
}

// arrive records a packet taken by an analyzer.
func (l *ledger) arrive(body []byte) {
	l.record(l.text.id(body))
}

// record records a packet, or a record of another protocol; ok is false when it differs from
// what was sent.
func (l *ledger) record(id int64, ok bool) {
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

// complete reports whether everything accepted has arrived.
func (l *ledger) complete() bool { return l.missing == 0 }

// bitmap is a set of small non-negative integers.
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
