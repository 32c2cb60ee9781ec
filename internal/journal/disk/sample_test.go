package disk

import (
	"fmt"
	"testing"

	"github.com/logstreamer/logstreamer/internal/backlog"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// The sample has packets that are on disk only, in proportion.
func TestSampleOfPacketsOnDisk(t *testing.T) {
	f := newFixture()
	f.memory = 64 << 10
	j := f.open(t)
	defer j.Close()
	const many = 6000
	for i := 0; i < many; i += 100 {
		var batch []*packet.Packet
		for k := i; k < i+100; k++ {
			emitter := "small"
			if k%4 == 0 {
				emitter = "large"
			}
			batch = append(batch, f.packets.Make(t, emitter, fmt.Sprintf("%06d", k), 300))
		}
		if n, err := j.Append(batch); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	var e backlog.Emitters
	j.Sample(backlog.SamplePackets, e.Add)
	top := e.Top(3)
	if len(top) != 2 || top[0].ID != "small" {
		t.Fatalf("%+v", top)
	}
	if sum := top[0].Packets + top[1].Packets; sum < many-500 || sum > many+500 {
		t.Errorf("the sample stands for %d packets", sum)
	}
	for i, want := range []int64{many * 3 / 4, many / 4} {
		if off := top[i].Messages - want; max(off, -off) > 3*top[i].MarginMessages || top[i].MarginMessages == 0 {
			t.Errorf("%+v, want %d messages", top[i], want)
		}
	}
}

// BenchmarkSample measures how long a sample holds the journal's lock.
func BenchmarkSample(b *testing.B) {
	f := newFixture()
	f.memory, f.maxBytes = 256<<20, 256<<20
	j := f.open(b)
	defer j.Close()
	for i := range 500 {
		var batch []*packet.Packet
		for k := range 100 {
			batch = append(batch, f.packets.Make(b, fmt.Sprint("emitter-", k), fmt.Sprint(i), 300))
		}
		if _, err := j.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	var e backlog.Emitters
	for b.Loop() {
		j.Sample(backlog.SamplePackets, e.Add)
	}
}
