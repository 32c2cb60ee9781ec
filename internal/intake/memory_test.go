package intake

import (
	"testing"

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
	p = m.Fit(p)
	if got, want := p.Footprint(), packet.FootprintOf(11); got != want || string(p.Body) != "a few bytes" {
		t.Errorf("%q holds %d bytes, want %d", p.Body, got, want)
	}
	if held := m.Held(); held != p.Footprint() {
		t.Errorf("%d bytes are held for %d", held, p.Footprint())
	}
	m.Drop(p)
}
