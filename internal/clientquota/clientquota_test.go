package clientquota

import (
	"net"
	"net/netip"
	"testing"
)

func TestQuota(t *testing.T) {
	q := New(100, 1)
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
			q.Give(step.client, -step.amount)
		} else if got := q.Take(step.client, step.amount); got != step.want {
			t.Fatalf("%+v: %v, held %v of %d", step, got, q.held, q.total)
		}
	}
	q.Give(one, 45)
	q.Give(two, 10)
	q.Give(three, 44)
	if q.total != 0 || len(q.held) > 0 {
		t.Errorf("%d, %v are left", q.total, q.held)
	}
}

// An amount that replaces another one is charged beside it, and compared with what the client holds
// otherwise.
func TestReplace(t *testing.T) {
	q := New(100, 1)
	one := netip.MustParseAddr("10.0.0.1")
	if !q.Take(one, 30) || q.Take(one, 60) || q.Replace(one, 30, 71) || !q.Replace(one, 30, 60) {
		t.Fatalf("held %v of %d", q.held, q.total)
	}
	q.Give(one, 30)
	if q.Take(one, 1) || q.Replace(one, 30, 20) || !q.Replace(one, 60, 40) {
		t.Errorf("after the end of 30: held %v of %d", q.held, q.total)
	}
}

// With a factor of 8 one client gets 8/9.
func TestQuotaFactor(t *testing.T) {
	q := New(900, 8)
	one := netip.MustParseAddr("10.0.0.1")
	for n := range int64(800) {
		if !q.Take(one, 1) {
			t.Fatalf("it gets %d of 900", n)
		}
	}
	if q.Take(one, 1) || !q.Take(netip.MustParseAddr("10.0.0.2"), 1) {
		t.Errorf("it holds %v", q.held)
	}
}

func TestClientOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3:5": "10.1.2.3", "[::ffff:10.1.2.3]:5": "10.1.2.3", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::", "[fe80::1%eth0]:7": "fe80::",
	} {
		address := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text))
		if got := ClientOf(address); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	if got := ClientOf(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("of a socket without an address: %v", got)
	}
}

// A lower capacity admits nothing more until there is less; what is held stays.
func TestSetCapacity(t *testing.T) {
	q := New(10, 8)
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	if !q.Take(a, 5) {
		t.Fatal("the capacity is not free")
	}
	q.SetCapacity(5)
	if q.Take(b, 1) {
		t.Error("more than the lower capacity is held")
	}
	q.SetCapacity(6)
	if !q.Take(b, 1) {
		t.Error("the higher capacity is not free")
	}
}
