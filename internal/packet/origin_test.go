package packet

import "testing"

// A buffer with origins is released when the last packet with an origin in it is released or waits.
func TestOriginsHoldTheirBuffer(t *testing.T) {
	var pool Pool
	s, parts, released := share(&pool, "one two")
	parts[0].Release()
	buffer := s.buffer.Body
	first, second, third := pool.New([]byte("1"), Info{}), pool.New([]byte("2"), Info{}), pool.New([]byte("3"), Info{})
	s.Attach(first, buffer[:3])
	s.Attach(second, buffer[4:7])
	s.Attach(third, buffer)
	s.Close()
	if string(first.Origin) != "one" || string(second.Origin) != "two" {
		t.Fatalf("the origins are %q and %q", first.Origin, second.Origin)
	}
	first.Release()
	if own := second.Own(); own != second || own.Origin != nil || string(own.Body) != "2" {
		t.Errorf("a packet that waits is %+v", own)
	}
	if *released {
		t.Fatal("the buffer is given back while a packet refers to it")
	}
	third.Release()
	if !*released {
		t.Error("the buffer is not given back")
	}
	second.Release() // a second release does not affect the buffer
	if again := pool.Get(1); again.Origin != nil || again.origin != nil {
		t.Error("a packet of the pool has an origin")
	}
}
