package body

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// unlimitedJournal is a journal that always has capacity, as a journal on disk nearly always has.
type unlimitedJournal struct{ intake.Journal }

func (unlimitedJournal) CheckCapacity(int) error { return nil }
func (unlimitedJournal) Fits(int) bool           { return true }

func reader(t testing.TB, memory int64) *Reader {
	t.Helper()
	in := intake.New(intake.Config{MemoryBytes: memory}, intake.Dependencies{Journal: unlimitedJournal{}, Pool: new(packet.Pool)})
	r, err := NewReader(AllCodings, 1<<20, in.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A body takes memory as it arrives, whatever length is announced, and no more memory than its
// announced length.
func TestBodyMemoryGrowsWithArrivedBytes(t *testing.T) {
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

// trickle sends a body in small pieces and checks the memory that is held for it.
type trickle struct {
	t             *testing.T
	bodies        *Reader
	given, length int
}

func (s *trickle) Read(dst []byte) (int, error) {
	held, limit := s.bodies.memory.Held(), packet.FootprintOf(min(s.length, max(uploadStart, uploadFactor*s.given)))
	if held > limit {
		s.t.Errorf("after %d of %d bytes %d are held, at most %d should be", s.given, s.length, held, limit)
	}
	n := min(len(dst), 10_000, s.length-s.given)
	s.given += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A body of unknown length takes at most the maximum size, so that a larger body is refused as too
// large if there is memory for the maximum, and a body of the maximum is accepted.
func TestUnknownLengthAtTheMaximum(t *testing.T) {
	for _, more := range []int{-1, 0, 1, 5 << 20} {
		r := reader(t, packet.FootprintOf(1<<20)+packet.FootprintOf(1<<19)) // with the previous buffer
		stream := &zeros{left: 1<<20 + more}
		u := r.Upload(netip.Addr{}, -1)
		u.quota = nil // as for a body that is decompressed
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

// A client that holds nothing else has the memory that its body needs, though the buffer is
// replaced by larger ones while the body arrives. A body that needs more memory than the intake
// ever has is refused for good.
func TestLargeBodies(t *testing.T) {
	const memory = 16 << 20
	for _, c := range []struct {
		length int
		known  bool // announced
		want   problem.Code
	}{
		{memory / 2, true, ""}, {memory * 9 / 10, true, problem.TooLarge}, {memory + 1, true, problem.TooLarge},
		{memory * 4 / 10, false, ""}, {memory * 9 / 10, false, problem.TooLarge}, {memory + 1, false, problem.TooLarge},
	} {
		r := reader(t, memory)
		r.Configure(64 << 20)
		announced := -1
		if c.known {
			announced = c.length
		}
		u := r.Upload(netip.MustParseAddr("192.0.2.1"), announced)
		body, fault := u.receive(&zeros{left: c.length})
		switch {
		case fault != nil && fault.Code != c.want, fault == nil && c.want != "":
			t.Errorf("%+v: %+v", c, fault)
		case fault == nil:
			if len(body.Body) != c.length {
				t.Errorf("%+v: %d bytes", c, len(body.Body))
			}
			r.memory.Drop(body)
		}
		if held := r.memory.Held(); held != 0 || !r.uploads.Take(netip.Addr{}, memory) {
			t.Errorf("%+v: %d bytes are held, or charged", c, held)
		}
	}
}

// The encoded body is held while it is decoded.
func TestLargeDecodedBodies(t *testing.T) {
	const memory = 16 << 20
	noise := make([]byte, memory*6/10) // does not compress
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for coding, formats := range encoded(t, string(noise)) {
		for format, text := range formats {
			r := reader(t, memory)
			r.Configure(64 << 20)
			if _, fault := r.Read(request(t, coding, text)); fault == nil || fault.Code != problem.TooLarge {
				t.Errorf("%s %s: %+v", coding, format, fault)
			}
			if held := r.memory.Held(); held != 0 {
				t.Errorf("%s %s: %d bytes are held", coding, format, held)
			}
		}
	}
}

// Two bodies of one client fit only one after the other: the first body that needs much memory gets
// it.
func TestTwoLargeBodies(t *testing.T) {
	const memory = 16 << 20
	r := reader(t, memory)
	r.Configure(64 << 20)
	client := netip.MustParseAddr("192.0.2.1")
	other := r.Upload(client, memory/2)
	if fault := other.Append(make([]byte, 10_000)); fault != nil {
		t.Fatal(fault)
	}
	u := r.Upload(client, memory/2)
	if _, fault := u.receive(&zeros{left: memory / 2}); fault == nil || fault.Code != problem.Overloaded {
		t.Errorf("beside another: %+v", fault)
	}
	other.Drop()
	u = r.Upload(client, memory/2)
	body, fault := u.receive(&zeros{left: memory / 2})
	if fault != nil {
		t.Fatalf("alone: %+v", fault)
	}
	r.memory.Drop(body)
}

// zeros is a stream of that many bytes.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	z.left -= n
	return n, nil
}
