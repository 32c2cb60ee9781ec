package packet

import (
	"bytes"
	"testing"
	"time"
)

func TestClassesFitTheirSizes(t *testing.T) {
	for size, want := range map[int]int{
		0: 0, 1: 0, 511: 0, 512: 0,
		513: 1, 768: 1,
		769: 2, 1024: 2,
		1025: 3, 1536: 3,
		1537: 4, 2048: 4,
		1<<24 - 1: classes - 1, 1 << 24: classes - 1,
		1<<24 + 1: classes,
	} {
		if got := classOf(size); got != want {
			t.Errorf("%d bytes are of class %d, want %d", size, got, want)
		}
	}
	for class := range classes {
		capacity := capacityOf(class)
		if classOf(capacity) != class || classOf(capacity+1) != class+1 {
			t.Errorf("class %d does not end at %d bytes", class, capacity)
		}
	}
}

func TestNewCopies(t *testing.T) {
	var pool Pool
	for _, size := range []int{0, 1, 512, 513, 70_000, 1<<24 + 1} {
		body := bytes.Repeat([]byte{'x'}, size)
		info := Info{Messages: 7, Level: LevelWarn}
		p := pool.New(body, info)
		if size > 0 {
			body[0] = 'y'
		}
		if len(p.Body) != size || bytes.ContainsRune(p.Body, 'y') || p.Info != info {
			t.Errorf("%d bytes: the packet holds %d, %+v", size, len(p.Body), p.Info)
		}
		if got, want := p.Footprint(), FootprintOf(size); got != want {
			t.Errorf("%d bytes: footprint %d, FootprintOf returned %d", size, got, want)
		}
		p.Release()
	}
}

// TestReleaseResetsThePacket inspects the released packet itself, because sync.Pool may
// return another one.
func TestReleaseResetsThePacket(t *testing.T) {
	var pool Pool
	p := pool.New([]byte(plainPacket), Info{Messages: 1})
	buffer := cap(p.Body)
	p.Traceparent, p.Accepted, p.Sequence = "00-1", time.Unix(1, 0), 9
	p.Release()
	if p.Traceparent != "" || !p.Accepted.IsZero() || p.Sequence != 0 || p.Info != (Info{}) || len(p.Body) != 0 {
		t.Errorf("not reset: %+v", p)
	}
	if cap(p.Body) != buffer || p.pool != &pool {
		t.Error("the buffer or its pool is lost")
	}
}

func TestReleaseOfAPacketWithoutPool(t *testing.T) {
	p := &Packet{Body: []byte(plainPacket)}
	p.Release()
	if string(p.Body) != plainPacket {
		t.Error("a packet without a pool was changed")
	}
}
