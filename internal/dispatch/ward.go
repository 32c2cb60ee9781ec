package dispatch

import (
	"time"

	"logstreamer/internal/fifo"
	"logstreamer/internal/packet"
)

// waits is how long a packet is kept from analyzers after its first setback, its
// second, and so on; the last one goes for all that follow.
var waits = [...]time.Duration{
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second,
}

// ward holds packets that failed although analyzers took others. They go out one
// at a time for each analyzer in the running, and ever more rarely, so that they
// cost the others little, however many they are. The ledger guards it.
type ward struct {
	waiting [len(waits)]fifo.Queue[*packet.Packet] // by their wait, and so in the order of their times
	out     int                                    // how many of its packets are being tried
	all     int                                    // how many packets it has, those included
}

// belongs tells that a packet which came back is to wait here.
func belongs(p *packet.Packet) bool { return p.Trouble != nil && p.Trouble.Setbacks > 0 }

// put takes in a packet that came back, for the first time or again.
func (w *ward) put(p *packet.Packet) {
	w.letGo(p)
	p.Trouble.Apart = true
	w.all++
	w.waiting[min(p.Trouble.Setbacks, len(waits))-1].Push(p)
}

// letGo forgets a packet that was out, if it was one of the ward's.
func (w *ward) letGo(p *packet.Packet) {
	if p.Trouble != nil && p.Trouble.Apart {
		w.out--
		w.all--
	}
}

// take appends packets whose time has come, until most are out. At the end of
// all work none waits longer than the shortest wait.
func (w *ward) take(dst []*packet.Packet, most int, atTheEnd bool, now time.Time) []*packet.Packet {
	for i := range w.waiting {
		wait := waits[i]
		if atTheEnd {
			wait = waits[0]
		}
		for queue := &w.waiting[i]; w.out < most && queue.Len() > 0 && now.Sub(queue.First().Trouble.Last) >= wait; {
			dst = append(dst, queue.Pop())
			w.out++
		}
	}
	return dst
}

// setApart describes a packet for people.
type setApart struct{ emitterID, packetID, cause string }

func describeApart(p *packet.Packet) *setApart {
	return &setApart{
		emitterID: string(p.EmitterID.AppendDecoded(nil, p.Body)), packetID: string(p.PacketID.AppendDecoded(nil, p.Body)),
		cause: p.Trouble.Cause,
	}
}
