package packet

import (
	"strings"
	"testing"
	"time"
)

// share returns parts of a shared buffer with these lines, each with a line break, and a flag that
// is set when the buffer is released.
func share(pool *Pool, lines ...string) (s *Shared, parts []*Packet, released *bool) {
	buffer := pool.New([]byte(strings.Join(lines, "\n")+"\n"), Info{})
	released = new(bool)
	s = pool.Share(buffer, func(b *Packet) {
		if *released || b != buffer {
			panic("released twice, or another buffer")
		}
		*released = true
		b.Release()
	})
	all := LinesOf(buffer.Body)
	for line, _, ok := all.Next(); ok; line, _, ok = all.Next() {
		parts = append(parts, s.Part(line))
	}
	return s, parts, released
}

func TestSharedBufferIsReleasedOnce(t *testing.T) {
	var pool Pool
	for _, closeAt := range []int{0, 100, 200} {
		s, parts, released := share(&pool, make200Lines()...)
		for i, p := range parts {
			if i == closeAt {
				s.Close()
			}
			if *released {
				t.Fatalf("released with %d parts in use", len(parts)-i)
			}
			p.Release()
		}
		if closeAt == len(parts) {
			if *released {
				t.Fatal("released before Close")
			}
			s.Close()
		}
		if !*released {
			t.Error("not released")
		}
	}
	s, _, released := share(&pool)
	if s.Close(); !*released {
		t.Error("a buffer without parts is not released")
	}
}

func make200Lines() []string {
	lines := make([]string, 200)
	for i := range lines {
		lines[i] = strings.Repeat("x", i+1)
	}
	return lines
}

// Parts have the bytes of their lines, and appending to a part does not overwrite the next one.
func TestPartsAreLines(t *testing.T) {
	var pool Pool
	lines := make200Lines()
	s, parts, _ := share(&pool, lines...)
	s.Close()
	for i, p := range parts {
		if line, ended := p.Line(); !ended || string(line) != lines[i]+"\n" || cap(line) != len(line) {
			t.Fatalf("the line of part %d is %q, %v", i, line, ended)
		}
		if string(p.Body) != lines[i] {
			t.Fatalf("part %d is %q", i, p.Body)
		}
		p.Release()
	}
}

func TestLineOfAPart(t *testing.T) {
	var pool Pool
	for _, text := range []string{"a\r\nb", "a\r\nb\n"} {
		buffer := pool.New([]byte(text), Info{})
		buffer.Body = buffer.Body[:len(text):len(text)]
		s := pool.Share(buffer, func(*Packet) {})
		lines := LinesOf(buffer.Body)
		first, _, _ := lines.Next()
		last, _, _ := lines.Next()
		if line, ended := s.Part(first).Line(); ended || string(line) != "a" {
			t.Errorf("%q: the line that ends in \\r\\n is %q, %v", text, line, ended)
		}
		if _, ended := s.Part(last).Line(); ended != (len(text) == 5) {
			t.Errorf("%q: the last line is ended: %v", text, ended)
		}
		if string(buffer.Body) != text {
			t.Errorf("%q became %q", text, buffer.Body)
		}
	}
}

func TestLineOfAPacket(t *testing.T) {
	for body, capacity := range map[string]int{"full": 4, "ended\n": 20, "free": 20} {
		p := &Packet{Body: append(make([]byte, 0, capacity), body...)}
		line, ended := p.Line()
		if want := strings.TrimSuffix(body, "\n") + "\n"; ended != (body != "full") || ended && string(line) != want {
			t.Errorf("the line of %q is %q, %v", body, line, ended)
		}
		if string(p.Body) != body {
			t.Errorf("%q became %q", body, p.Body)
		}
	}
}

// A copied part is the same packet with the same footprint, and does not retain the shared buffer.
func TestOwn(t *testing.T) {
	var pool Pool
	s, parts, released := share(&pool, plainPacket, strings.Repeat("x", 5000))
	s.Close()
	first := parts[0]
	first.Info, _ = Check(first.Body, 10)
	first.Traceparent, first.Accepted, first.Sequence, first.Slot, first.Pick, first.Principal = "00-1", time.Unix(1, 0), 9, 8, 7, "p"
	ids, footprint := first.IDs(), first.Footprint()
	if footprint != FootprintOf(len(plainPacket)) {
		t.Errorf("the footprint of a part is %d", footprint)
	}
	own := first.Own()
	if string(own.Body) != plainPacket || own.Messages != 1 || own.IDs() != ids || own.Footprint() != footprint ||
		own.Traceparent != "00-1" || !own.Accepted.Equal(time.Unix(1, 0)) || own.Sequence != 9 || own.Slot != 8 || own.Pick != 7 || own.Principal != "p" {
		t.Errorf("the copy is %+v", own)
	}
	if own.Own() != own {
		t.Error("a packet with its own buffer was copied")
	}
	parts[1].Release()
	if !*released {
		t.Error("the copy holds the shared buffer")
	}
	own.Release()
}
