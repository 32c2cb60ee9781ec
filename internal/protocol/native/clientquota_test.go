package native

import (
	"runtime"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Hundreds of clients announce bodies and send one byte of each: other requests are accepted, and
// /readyz reports so. A body takes memory with its first byte.
func TestSlowBodiesTakeNoCapacity(t *testing.T) {
	f := serve(t, standard())
	f.journal.limitBytes = 8 << 20
	const clients = 900
	for range clients {
		f.dial().send(post(aPacket("p", 60_000))[:200])
	}
	for n := range 20 {
		f.exchange(post(aPacket("p", 60_000))).wantAccepted(t, "p")
		if why := f.handler.Ready(); why != nil {
			t.Errorf("after %d packets: %v", n, why)
		}
	}
	if held, limit := f.handler.memory.Held(), clients*packet.FootprintOf(uploadStart); held > limit {
		t.Errorf("%d bytes are held, at most %d should be", held, limit)
	}
}

// A client that sends nearly all of many bodies gets half of the memory: other clients still get
// memory.
func TestOneClientLeavesMemoryToOthers(t *testing.T) {
	o := standard()
	o.intake.MemoryBytes = 4 << 20
	f := serve(t, o)
	const clients = 100
	for range clients {
		f.dial().send(post(aPacket("p", 100_000))[:90_000])
	}
	for { // until each is refused, or holds all the memory that it needs
		refused := int64(f.handler.intake.Refused(string(problem.Overloaded)))
		if f.handler.memory.Held() == (clients-refused)*packet.FootprintOf(100_000) {
			break
		}
		runtime.Gosched()
	}
	for range 10 {
		f.exchange(post(aPacket("p", 100_000))[:90_000]).wantRefusal(t, 503, problem.Overloaded)
	}
	if held := f.handler.memory.Held(); held > o.intake.MemoryBytes/2+packet.FootprintOf(100_000) {
		t.Errorf("one client holds %d of %d bytes", held, o.intake.MemoryBytes)
	}
	f.exchange(post(aPacket("small", 0))).wantAccepted(t, "small") // which has arrived as a whole
}
