package intake

import (
	"testing"

	"github.com/logstreamer/logstreamer/internal/journal"
	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestMemoryIsBoundedWhateverTheJournalHolds(t *testing.T) {
	m := newIntake(t, new(fakeJournal), func(c *Config, _ *Dependencies) { c.MemoryBytes = 100 << 10 }).Memory()
	first, reason := m.Lend(64 << 10)
	if reason != "" {
		t.Fatal(reason)
	}
	if _, reason := m.Lend(64 << 10); reason != Overloaded {
		t.Errorf("a second packet beyond the limit: %q", reason)
	}
	m.Drop(first)
}

func TestFit(t *testing.T) {
	m := newIntake(t, new(fakeJournal), nil).Memory()
	p, reason := m.Lend(64 << 10)
	if reason != "" {
		t.Fatal(reason)
	}
	p.Body = append(p.Body, "a few bytes"...)
	p = m.Fit(p, 0)
	if got, want := p.Footprint(), packet.FootprintOf(11); got != want || string(p.Body) != "a few bytes" {
		t.Errorf("%q holds %d bytes, want %d", p.Body, got, want)
	}
	if held := m.Held(); held != p.Footprint() {
		t.Errorf("%d bytes are held for %d", held, p.Footprint())
	}
	m.Drop(p)
}

// lendShared returns a lent body with one line, shared, and its only packet.
func lendShared(t *testing.T, m *Memory, size int) *packet.Packet {
	t.Helper()
	body, reason := m.Lend(size)
	if reason != "" {
		t.Fatal(reason)
	}
	body.Body = append(body.Body, "line"...)
	shared := m.Share(body)
	if shared == nil {
		t.Helper()
		t.Fatalf("a body of %d bytes is not shared, with %d bytes held", size, m.Held())
	}
	defer shared.Close()
	p, reason := m.LendPart(shared, body.Body, 0)
	if reason != "" {
		t.Fatal(reason)
	}
	return p
}

// A shared body is held until its last packet is released, in addition to the memory of the packet.
func TestSharedBodyIsHeldWithItsPackets(t *testing.T) {
	m := newIntake(t, new(fakeJournal), nil).Memory()
	p := lendShared(t, m, 64<<10)
	body, own := packet.FootprintOf(64<<10), packet.FootprintOf(4)
	if held, shared := m.Held(), m.Shared(); held != body+own || shared != body {
		t.Errorf("%d bytes are held, %d of them shared, want %d and %d", held, shared, body+own, body)
	}
	copied := p.Own()
	if held, shared := m.Held(), m.Shared(); held != own || shared != 0 {
		t.Errorf("after the copy %d bytes are held, %d of them shared, want %d and 0", held, shared, own)
	}
	m.Drop(copied)
	if held := m.Held(); held != 0 {
		t.Errorf("%d bytes are held in the end", held)
	}
}

// Shared bodies hold a bounded part of the memory, even if their packets are never released.
func TestSharedBodiesAreBounded(t *testing.T) {
	j := new(fakeJournal)
	m := newIntake(t, j, func(c *Config, _ *Dependencies) { c.MemoryBytes = 1 << 20 }).Memory()
	const size = 48<<10 - 256
	var parts []*packet.Packet
	for range 2 { // a third body would exceed an eighth
		parts = append(parts, lendShared(t, m, size))
	}
	body, reason := m.Lend(size)
	if reason != "" {
		t.Fatal(reason)
	}
	body.Body = append(body.Body, "line"...)
	refused := func(why string) {
		t.Helper()
		if m.Share(body) != nil {
			t.Fatal("a body is shared although " + why)
		}
	}
	refused("shared ones hold an eighth of the memory")
	p, reason := m.LendPart(nil, body.Body, 0)
	if reason != "" || string(p.Body) != "line" || &p.Body[0] == &body.Body[0] {
		t.Errorf("instead of a part: %q, %q", p.Body, reason)
	}
	m.Drop(p)
	for _, p := range parts {
		m.Drop(p)
	}
	j.capacity = journal.ErrFull
	refused("more than half of the capacity is in use")
	j.capacity = nil
	shared := m.Share(body)
	if shared == nil {
		t.Fatal("a body is not shared once others are released")
	}
	shared.Close()
	if m.Held() != 0 || m.Shared() != 0 {
		t.Errorf("%d bytes are held in the end, %d of them shared", m.Held(), m.Shared())
	}
}

// Bodies with origins hold at most a quarter of the memory, whatever else is in use.
func TestOriginsAreBounded(t *testing.T) {
	j := new(fakeJournal)
	m := newIntake(t, j, func(c *Config, _ *Dependencies) { c.MemoryBytes = 1 << 20 }).Memory()
	const size = 64<<10 - 256
	var shared []*packet.Shared
	for n := range 5 {
		body, reason := m.Lend(size)
		if reason != "" {
			t.Fatal(reason)
		}
		j.capacity = journal.ErrFull
		one := m.ShareOrigins(body)
		j.capacity = nil
		if (one != nil) != (n < 3) { // a body holds more than its size
			t.Errorf("body %d is shared: %t", n, one != nil)
		}
		if one == nil {
			m.Drop(body)
			continue
		}
		shared = append(shared, one)
	}
	if held := m.Held(); held != m.Shared() || held > 1<<20/originsPart {
		t.Errorf("%d bytes are held, %d of them shared", held, m.Shared())
	}
	for _, one := range shared {
		one.Close()
	}
	if m.Held() != 0 || m.Shared() != 0 {
		t.Errorf("%d bytes are held in the end, %d of them shared", m.Held(), m.Shared())
	}
}

func TestLargeBodiesAreNotShared(t *testing.T) {
	m := newIntake(t, new(fakeJournal), func(c *Config, _ *Dependencies) { c.MemoryBytes = 256 << 20 }).Memory()
	body, reason := m.Lend(maxSharedBytes)
	if reason != "" {
		t.Fatal(reason)
	}
	if m.Share(body) != nil {
		t.Error("a packet could hold more than a mebibyte")
	}
	m.Drop(body)
}
