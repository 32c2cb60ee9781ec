package dispatch

import (
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/ring"
)

// unwritten holds packets that analyzers refuse for good, and that must not end
// since their dead letters could not be written, until they are tried again: by
// then an analyzer may take them. What keeps letters from being written, such as a
// full disk, is the same for all. So one is tried for all, after ever longer waits,
// until one ends; then one more at once for each that ends. The ledger guards it.
type unwritten struct {
	waiting  ring.Queue[*packet.Packet]
	out      int // how many of its packets are being tried
	window   int // how many may be
	failures int // rounds in a row in which no letter could be written
	next     time.Time
	hurried  bool
}

// put takes in a packet whose letter could not be written, for the first time or
// again.
func (u *unwritten) put(p *packet.Packet, now time.Time) {
	u.window = 1
	if p.Unwritten {
		if u.out--; u.out == 0 {
			u.failures++
			u.next = now.Add(u.wait())
		}
	}
	p.Unwritten = true
	u.waiting.Push(p)
}

func (u *unwritten) wait() time.Duration {
	wait := waits[min(u.failures, len(waits))-1]
	if u.hurried {
		wait = min(wait, waits[1])
	}
	return wait
}

// putBack takes in one that was out and that no analyzer refused.
func (u *unwritten) putBack(p *packet.Packet) {
	u.out--
	u.waiting.Push(p)
}

// leave lets one go that was out and that an analyzer failed with: it is the ward's.
func (u *unwritten) leave(p *packet.Packet) {
	u.out--
	p.Unwritten = false
}

// end forgets one that was out and has ended.
func (u *unwritten) end() {
	u.out--
	u.window = min(u.window+1, largestWindow)
	u.resume()
}

// resume ends the wait, since a letter could be written. It reports whether packets
// may go because of it.
func (u *unwritten) resume() bool {
	waited := u.failures > 0
	u.failures, u.next = 0, time.Time{}
	return waited && u.waiting.Len() > 0
}

// ready returns how many packets may go now.
func (u *unwritten) ready(now time.Time) int {
	if u.waiting.Len() == 0 || now.Before(u.next) {
		return 0
	}
	return max(0, min(u.window-u.out, u.waiting.Len()))
}

// take appends the n packets that have waited longest.
func (u *unwritten) take(dst []*packet.Packet, n int) []*packet.Packet {
	u.out += n
	for range n {
		dst = append(dst, u.waiting.Pop())
	}
	return dst
}

// hurry ends the wait, and has none be long any more.
func (u *unwritten) hurry() {
	u.hurried = true
	u.next = time.Time{}
}
