package body

import (
	"io"
	"net/netip"
	"testing"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// unlimitedJournal is a journal that always has capacity, as one on disk nearly has.
type unlimitedJournal struct{ intake.Journal }

func (unlimitedJournal) CheckCapacity(int) error { return nil }

func reader(t testing.TB, memory int64) *Reader {
	t.Helper()
	in := intake.New(intake.Config{MemoryBytes: memory}, intake.Dependencies{Journal: unlimitedJournal{}, Pool: new(packet.Pool)})
	r, err := NewReader(AllCodings, 1<<20, in.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A body takes memory as it arrives, whatever length is announced, and none more
// than it has announced.
func TestABodyHoldsWhatItsBytesVouchFor(t *testing.T) {
	for _, length := range []int{200 << 10, 700 << 10, 1 << 20} {
		r := reader(t, 16<<20)
		stream := &trickle{t: t, bodies: r, length: length}
		u := r.Upload(netip.Addr{}, length)
		body, fault := u.receive(stream)
		if fault != nil {
			t.Fatal(fault)
		}
		if len(body.Body) != length || body.Footprint() != packet.FootprintOf(length) {
			t.Errorf("%d bytes, which hold %d, want %d", len(body.Body), body.Footprint(), length)
		}
		r.memory.Drop(body)
		if held := r.memory.Held(); held != 0 || !r.uploads.Take(netip.Addr{}, r.memory.Limit()) {
			t.Errorf("%d bytes are still held, or charged", held)
		}
	}
}

// trickle gives a body little by little and looks what is held for it.
type trickle struct {
	t             *testing.T
	bodies        *Reader
	given, length int
}

func (s *trickle) Read(room []byte) (int, error) {
	held, most := s.bodies.memory.Held(), packet.FootprintOf(min(s.length, max(uploadStart, uploadFactor*s.given)))
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

// A body of unknown length takes at most the maximum, so that one which is larger is refused as
// too large where memory suffices for the maximum, and one of the maximum is accepted.
func TestUnknownLengthAtTheMaximum(t *testing.T) {
	for _, more := range []int{-1, 0, 1, 5 << 20} {
		r := reader(t, packet.FootprintOf(1<<20)+packet.FootprintOf(1<<19)) // with the buffer before
		stream := &zeros{left: 1<<20 + more}
		u := r.Upload(netip.Addr{}, -1)
		u.quota = nil // as for what is decompressed
		body, fault := u.receive(stream)
		switch {
		case more > 0 && (fault == nil || fault.Code != problem.TooLarge):
			t.Errorf("%d bytes too many: %+v", more, fault)
		case more <= 0 && fault != nil:
			t.Errorf("%d bytes: %+v", 1<<20+more, fault)
		case more <= 0:
			if len(body.Body) != 1<<20+more {
				t.Errorf("%d bytes of %d", len(body.Body), 1<<20+more)
			}
			r.memory.Drop(body)
		}
		if held := r.memory.Held(); held != 0 {
			t.Errorf("%d bytes are held", held)
		}
	}
}

// zeros is a stream of so many bytes.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	z.left -= n
	return n, nil
}
