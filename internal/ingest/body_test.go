package ingest

import (
	"io"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// roomy is a journal that always has room, as one on disk nearly has.
type roomy struct{}

func (roomy) CheckCapacity(int) error { return nil }

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

// A body takes memory as it arrives, whatever length is announced, and none more
// than it has announced.
func TestABodyHoldsWhatItsBytesVouchFor(t *testing.T) {
	for _, length := range []int{200 << 10, 700 << 10, 1 << 20} {
		r := reader(t, 16<<20)
		stream := &trickle{t: t, bodies: r, length: length}
		u := upload{bodies: r, quota: r.uploads, length: length, least: uploadStart}
		body, fault := u.receive(stream)
		if fault != nil {
			t.Fatal(fault)
		}
		if len(body.Body) != length || body.Footprint() != packet.FootprintOf(length) {
			t.Errorf("%d bytes, which hold %d, want %d", len(body.Body), body.Footprint(), length)
		}
		r.drop(body)
		if r.uploads.total != 0 || len(r.uploads.held) > 0 {
			t.Errorf("%d bytes are still charged: %v", r.uploads.total, r.uploads.held)
		}
	}
}

// trickle gives a body little by little and looks what is held for it.
type trickle struct {
	t             *testing.T
	bodies        *bodyReader
	given, length int
}

func (s *trickle) Read(room []byte) (int, error) {
	held, most := s.bodies.reading.Load(), packet.FootprintOf(min(s.length, max(uploadStart, uploadFactor*s.given)))
	if held > most {
		s.t.Errorf("after %d of %d bytes %d are held, at most %d should be", s.given, s.length, held, most)
	}
	n := min(len(room), 10_000, s.length-s.given)
	s.given += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
