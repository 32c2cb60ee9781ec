package ingest

import (
	"net"
	"net/netip"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

func TestClientQuota(t *testing.T) {
	q := newClientQuota(100, 1)
	one, two, three := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")
	for _, step := range []struct {
		client netip.Addr
		amount int64
		want   bool
	}{
		{one, 90, true},   // a client that holds nothing gets what there is
		{one, 1, false},   // and no more
		{two, 11, false},  // than there is
		{two, 10, true},   //
		{three, 1, false}, //
		{one, -90, true},  // gives it back
		{one, 40, true},   // 50 are free, and 50 thereafter
		{one, 5, true},    // 45 are free thereafter
		{one, 1, false},   // 44 would be
		{three, 44, true}, //
		{two, 1, false},   // which holds 10, and 0 would be free
	} {
		if step.amount < 0 {
			q.give(step.client, -step.amount)
		} else if got := q.take(step.client, step.amount); got != step.want {
			t.Fatalf("%+v: %v, held %v of %d", step, got, q.held, q.total)
		}
	}
	q.give(one, 45)
	q.give(two, 10)
	q.give(three, 44)
	if q.total != 0 || len(q.held) > 0 {
		t.Errorf("%d, %v are left", q.total, q.held)
	}
}

// With a factor of 8 one client gets 8/9.
func TestClientQuotaFactor(t *testing.T) {
	q := newClientQuota(900, 8)
	one := netip.MustParseAddr("10.0.0.1")
	for n := range int64(800) {
		if !q.take(one, 1) {
			t.Fatalf("it gets %d of 900", n)
		}
	}
	if q.take(one, 1) || !q.take(netip.MustParseAddr("10.0.0.2"), 1) {
		t.Errorf("it holds %v", q.held)
	}
}

func TestClientOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3:5": "10.1.2.3", "[::ffff:10.1.2.3]:5": "10.1.2.3", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::", "[fe80::1%eth0]:7": "fe80::",
	} {
		address := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))
		if got := clientOf(address); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	if got := clientOf(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("of a socket without an address: %v", got)
	}
}

// Hundreds of clients announce bodies and send a byte of each: others are served, and
// /readyz is right in saying so. With the byte comes the memory that is taken.
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
	if held, most := f.handler.bodies.reading.Load(), clients*packet.FootprintOf(uploadStart); held > most {
		t.Errorf("%d bytes are held, at most %d should be", held, most)
	}
}

// A client that sends nearly all of many bodies gets half of the memory: the others
// find room.
func TestOneClientLeavesMemoryToOthers(t *testing.T) {
	o := standard()
	o.config.MemoryBytes = 4 << 20
	f := serve(t, o)
	for range 100 {
		f.dial().send(post(aPacket("p", 100_000))[:90_000])
	}
	for range 10 {
		f.exchange(post(aPacket("p", 100_000))[:90_000]).wantRefusal(t, 503, problem.Overloaded)
	}
	if held := f.handler.bodies.uploads.total; held > o.config.MemoryBytes/2+packet.FootprintOf(100_000) {
		t.Errorf("one client holds %d of %d bytes", held, o.config.MemoryBytes)
	}
	f.exchange(post(aPacket("small", 0))).wantAccepted(t, "small") // which is here as a whole
}
