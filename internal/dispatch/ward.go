package dispatch

import (
	"container/heap"
	"time"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// waits is how long a packet is kept from analyzers after its first visit that
// failed, its second, and so on; the last one goes for all that follow.
var waits = [...]time.Duration{
	0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute,
}

// ward holds packets that analyzers failed with, until it is their time to be
// tried again. How many are tried at once follows from what becomes of them, so that
// those that no analyzer can take cost the others little, and those that met a sick
// analyzer are soon over it: at first one for each analyzer in the running; one more
// for each that is taken, and half as many after each that fails again. One that is
// taken also lets two go before their time. The ledger guards it.
type ward struct {
	waiting byDue
	out     int // how many of its packets are being tried
	window  int // how many may be
	early   int // how many may go before their time
	apart   int // how many, waiting or out, keep failing at analyzers that work
	hurried bool
}

const (
	largestWindow = 1 << 16
	// strikesApart make a packet one that keeps failing.
	strikesApart = 4
)

// put takes in a packet that came back, for the first time or again. It reports
// whether it is the only one now that keeps failing.
func (w *ward) put(p *packet.Packet) (first bool) {
	t := p.Trouble
	if t.Counted > 0 {
		w.out--
	}
	if t.Counted < t.Visits {
		if t.Counted > 0 {
			w.window /= 2
			w.early = 0
		}
		t.Due = t.Last.Add(w.wait(t.Visits))
		t.Counted = t.Visits
	}
	if !t.Apart && t.Strikes >= strikesApart {
		t.Apart = true
		w.apart++
		first = w.apart == 1
	}
	heap.Push(&w.waiting, p)
	return first
}

func (w *ward) wait(visits int) time.Duration {
	wait := waits[min(visits, len(waits))-1]
	if w.hurried {
		wait = min(wait, waits[1])
	}
	return wait
}

// end forgets a packet that was taken, or refused for good, if it was out. It
// reports whether it was the last that kept failing. A packet that fails again
// afterwards, its dead letter unwritten, comes for the first time.
func (w *ward) end(p *packet.Packet, taken bool) (last bool) {
	t := p.Trouble
	if t == nil || t.Counted == 0 {
		return false
	}
	w.out--
	t.Counted = 0
	if taken {
		w.window = min(w.window+1, largestWindow)
		w.early = min(w.early+2, w.window)
	}
	if !t.Apart {
		return false
	}
	t.Apart = false
	w.apart--
	return w.apart == 0
}

// ready returns how many packets may go now, with so many analyzers in the running.
func (w *ward) ready(analyzers int, now time.Time) int {
	w.window = max(w.window, analyzers)
	most := w.window - w.out
	if most <= 0 || len(w.waiting) == 0 {
		return 0
	}
	return min(w.waiting.due(0, now, most)+w.early, most, len(w.waiting))
}

// take appends the n packets whose time is first.
func (w *ward) take(dst []*packet.Packet, n int, now time.Time) []*packet.Packet {
	for range n {
		p := heap.Pop(&w.waiting).(*packet.Packet)
		if p.Trouble.Due.After(now) {
			w.early = max(0, w.early-1)
		}
		w.out++
		dst = append(dst, p)
	}
	return dst
}

// hurry has nobody wait for long any more.
func (w *ward) hurry() {
	w.hurried = true
	for _, p := range w.waiting {
		p.Trouble.Due = p.Trouble.Last.Add(w.wait(p.Trouble.Visits))
	}
	heap.Init(&w.waiting)
}

// byDue is a heap of packets, whose time is next first.
type byDue []*packet.Packet

// due counts those at or below a place of the heap whose time has come, up to most.
func (h byDue) due(at int, now time.Time, most int) int {
	if at >= len(h) || most <= 0 || h[at].Trouble.Due.After(now) {
		return 0
	}
	n := 1 + h.due(2*at+1, now, most-1)
	return n + h.due(2*at+2, now, most-n)
}

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].Trouble.Due.Before(h[j].Trouble.Due) }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(p any)        { *h = append(*h, p.(*packet.Packet)) }
func (h *byDue) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

// keepsFailing describes a packet for people.
type keepsFailing struct{ emitterID, packetID, cause string }

func describePacket(p *packet.Packet) *keepsFailing {
	return &keepsFailing{
		emitterID: string(p.EmitterID.AppendDecoded(nil, p.Body)), packetID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		cause: p.Trouble.Cause,
	}
}
