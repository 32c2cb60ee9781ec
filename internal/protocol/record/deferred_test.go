package record

import (
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestDecimalDigits(t *testing.T) {
	numbers := []uint64{0, math.MaxUint64}
	for power := uint64(1); power <= math.MaxUint64/10; power *= 10 {
		numbers = append(numbers, power-1, power, 10*power-1, 10*power)
	}
	for _, n := range numbers {
		if got, want := decimalDigits(n), len(strconv.FormatUint(n, 10)); got != want {
			t.Errorf("%d has %d digits, not %d", n, want, got)
		}
	}
}

// The size of measured packets equals their size when they are written.
func TestMeasure(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "plain text", "a \"b\"\n", "\xff", "trace_id", "service.name", "é"}))
	rapid.Check(t, func(t *rapid.T) {
		var steps []func(m *Message)
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			key, value, number := texts.Draw(t, "key"), texts.Draw(t, "value"), rapid.Int64().Draw(t, "number")
			steps = append(steps, rapid.SampledFrom([]func(m *Message){
				func(m *Message) { m.SetBody([]byte(value)) },
				func(m *Message) { m.SetLevelText([]byte(value)) },
				func(m *Message) { m.Set("key", []byte(value)) },
				func(m *Message) { m.SetInt("int", number) },
				func(m *Message) { m.SetUint("uint", uint64(number)) },
				func(m *Message) { m.SetHex("hex", []byte(value)) },
				func(m *Message) { m.SetMembers([]byte(`,"a":"b"`)) },
				func(m *Message) { m.Add([]byte(key), []byte(value)) },
				func(m *Message) { m.AddTyped([]byte(key), []byte(value), packet.TypeInt) },
				func(m *Message) { m.SetScope(1) },
			}).Draw(t, "step"))
		}
		written, measured := Message{Copies: true}, Message{Copies: true, Measures: true}
		for range 2 { // names are known the second time
			for _, m := range []*Message{&written, &measured} {
				m.Begin(1640995200000)
				for _, step := range steps {
					step(m)
				}
			}
			size := written.complete()
			if text := written.append(nil); len(text) != size || measured.complete() != size || written.IsInvalid() != measured.IsInvalid() || written.packetLevel() != measured.packetLevel() {
				t.Fatalf("%d bytes are written, %d expected and %d measured: %s", len(text), size, measured.complete(), text)
			}
		}
	})
}

// A group that is cut, or has messages beside the messages of its origin, is not deferred, and no
// memory is held for it.
func TestPacketsThatCannotBeDeferred(t *testing.T) {
	l := newLender(t, 1<<20)
	for name, c := range map[string]struct{ before, messages, after int }{"merged": {1, 1, 0}, "followed": {0, 1, 1}, "cut": {0, 3, 0}} {
		p := NewPackets(t.Context(), l, Limits{Bytes: 1 << 20, Messages: 2})
		p.Measure()
		m := Message{Measures: true}
		message := func(g *Group) {
			m.Begin(1)
			m.SetBody([]byte("text"))
			add(t, g, &m)
		}
		first, g := p.Group([]byte("deferred")), p.Group([]byte(name))
		message(first)
		first.SetOrigin([]byte("origin"), 1)
		for range c.before + c.messages {
			message(g)
		}
		g.SetOrigin([]byte("origin"), c.messages)
		for range c.after {
			message(g)
		}
		if p.Defer("id", func(*packet.Packet, *packet.Packet) {}) {
			t.Errorf("%s: the packets are deferred", name)
		}
		p.Drop()
	}
}

// Packets are not deferred if there is no memory for their complete form.
func TestDeferredPacketsTakeMemory(t *testing.T) {
	l := newLender(t, packet.FootprintOf(4<<10)-1)
	p := NewPackets(t.Context(), l, ample)
	p.Measure()
	m := Message{Measures: true}
	m.Begin(1)
	m.SetBody(make([]byte, 3<<9)) // 4 KiB and more, escaped
	add(t, p.Group([]byte("e")), &m)
	p.groups["e"].SetOrigin([]byte("origin"), 1)
	if p.Defer("id", func(*packet.Packet, *packet.Packet) {}) {
		t.Error("the packet is deferred")
	}
	p.Drop()
}
