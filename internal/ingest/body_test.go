package ingest

import (
	"testing"

	"logstreamer/internal/packet"
	"logstreamer/internal/problem"
)

// roomy is a journal that always has room, as one on disk nearly has.
type roomy struct{}

func (roomy) Room(int) error { return nil }

func reader(t *testing.T, memory int64) *bodyReader {
	t.Helper()
	r, err := newBodyReader(Config{MaxBodyBytes: 1 << 20, MemoryBytes: memory}, roomy{}, new(packet.Pool))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBodiesAreBoundedWhateverTheJournalHolds(t *testing.T) {
	r := reader(t, 100<<10)
	first, fault := r.lend(64 << 10)
	if fault != nil {
		t.Fatal(fault)
	}
	if _, fault := r.lend(64 << 10); fault == nil || fault.Code != problem.Overloaded {
		t.Errorf("a second body beyond the limit: %v", fault)
	}
	r.drop(first)
	if held := r.reading.Load(); held != 0 {
		t.Errorf("%d bytes are still reserved", held)
	}
}

func TestABodyOfUnknownLengthFitsItsBuffer(t *testing.T) {
	r := reader(t, 1<<20)
	body, fault := r.lend(firstBuffer)
	if fault != nil {
		t.Fatal(fault)
	}
	body.Body = append(body.Body, "a few bytes"...)
	body = r.fit(body)
	if got, want := body.Footprint(), packet.FootprintOf(11); got != want || string(body.Body) != "a few bytes" {
		t.Errorf("%q holds %d bytes, want %d", body.Body, got, want)
	}
	if held := r.reading.Load(); held != body.Footprint() {
		t.Errorf("%d bytes are reserved for %d", held, body.Footprint())
	}
}
