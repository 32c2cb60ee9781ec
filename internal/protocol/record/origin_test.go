package record

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

// A packet has an origin if it has only the messages of that origin.
func TestOrigins(t *testing.T) {
	l := newLender(t, 1<<20)
	p := NewPackets(t.Context(), l, Limits{Bytes: 1 << 20, Messages: 2})
	message := func() *Message {
		var m Message
		m.Begin(1)
		m.SetBody([]byte("text"))
		return &m
	}
	alone, split, followed, merged := p.Group([]byte("alone")), p.Group([]byte("split")), p.Group([]byte("followed")), p.Group([]byte("merged"))
	add(t, alone, message())
	alone.SetOrigin([]byte("alone"), 1)
	for range 3 {
		add(t, split, message())
	}
	split.SetOrigin([]byte("split"), 3)
	add(t, followed, message())
	followed.SetOrigin([]byte("followed"), 1)
	add(t, followed, message())
	add(t, merged, message())
	add(t, merged, message())
	merged.SetOrigin([]byte("merged"), 1)
	if !p.HasOrigin() {
		t.Fatal("no packet has an origin")
	}
	released := false
	buffer := new(packet.Pool).New([]byte("alone"), packet.Info{})
	shared := new(packet.Pool).Share(buffer, func(*packet.Packet) { released = true })
	p.Origins(shared)
	var origins []string
	sealed := p.Seal("id")
	shared.Close()
	for _, one := range sealed {
		if one.Origin != nil {
			origins = append(origins, string(one.Origin))
			if released {
				t.Error("the buffer is given back too early")
			}
		}
		l.Memory().Drop(one)
	}
	if len(origins) != 1 || origins[0] != "alone" {
		t.Errorf("the origins are %q", origins)
	}
	if !released {
		t.Error("the buffer is not given back")
	}
}
