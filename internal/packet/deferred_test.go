package packet

import (
	"strings"
	"testing"
)

// deferred returns a packet with an origin in a shared buffer, and a flag that is set when the
// buffer is released.
func deferred(pool *Pool, origin, body string) (p *Packet, released *bool) {
	released = new(bool)
	s := pool.Share(pool.New([]byte(origin), Info{}), func(*Packet) { *released = true })
	p = pool.New([]byte("ids"), Info{Messages: 1})
	p.Defer(len(body), func(deferred, into *Packet) {
		into.Body, into.Info = append(into.Body, body...), Info{Messages: 2}
		if string(deferred.Origin) != origin || string(deferred.Body) != "ids" {
			into.Body = nil
		}
	})
	s.Attach(p, s.buffer.Body)
	s.Close()
	return p, released
}

// A deferred packet has the size and the footprint of its complete form, and keeps its origin until
// it is released.
func TestComplete(t *testing.T) {
	var pool Pool
	body := strings.Repeat("x", 5000)
	p, released := deferred(&pool, "origin", body)
	var v Volume
	v.Add(p)
	if !p.IsDeferred() || p.Size() != len(body) || p.Footprint() != FootprintOf(len(body)) || v.Bytes != int64(len(body)) {
		t.Errorf("a size of %d, a footprint of %d, %+v", p.Size(), p.Footprint(), v)
	}
	for range 2 {
		if p.Complete(); p.IsDeferred() || string(p.Body) != body || p.Messages != 2 || p.Footprint() != FootprintOf(len(body)) || string(p.Origin) != "origin" || *released {
			t.Errorf("complete it is %+v", p)
		}
	}
	v.Subtract(p)
	if v.Bytes != 0 {
		t.Errorf("%d bytes are left", v.Bytes)
	}
	if p.Release(); !*released {
		t.Error("the origin is not given back")
	}
	for range 100 {
		if again := pool.Get(5000); again.IsDeferred() || cap(again.Body) < 5000 {
			t.Fatalf("the pool has %+v", again)
		}
	}
}

// A deferred packet that waits gets a copy of its origin if packet and copy together take no more
// memory than the complete packet.
func TestDeferredPacketsOwnTheirOrigins(t *testing.T) {
	var pool Pool
	for name, c := range map[string]struct {
		origin, body int
		copied       bool
	}{"small origin": {2000, 5000, true}, "large origin": {5000, 5000, false}} {
		origin, body := strings.Repeat("o", c.origin), strings.Repeat("x", c.body)
		p, released := deferred(&pool, origin, body)
		if p.Own() != p || !*released || p.IsDeferred() != c.copied || p.Footprint() != FootprintOf(c.body) || (string(p.Origin) == origin) != c.copied {
			t.Errorf("%s: deferred: %t, given back: %t, a footprint of %d, an origin of %d bytes", name, p.IsDeferred(), *released, p.Footprint(), len(p.Origin))
		}
		if p.originCopy != nil && int64(cap(p.Body))+overheadBytes+p.originCopy.Footprint() > p.Footprint() {
			t.Errorf("%s: it holds more than its footprint", name)
		}
		if p.Complete(); string(p.Body) != body || p.Origin != nil || p.originCopy != nil {
			t.Errorf("%s: complete it is %+v", name, p)
		}
		p.Release()
	}
}
