package emitterquota

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/packet"

	"github.com/logstreamer/logstreamer/internal/clocktest"
)

// fill admits one unit of each slot in rotation until none is admitted and
// returns what each slot holds.
func fill(q *Quota, overloading []uint16, capacity int64, contended bool) []int64 {
	held := make([]int64, len(overloading))
	free := capacity
	for admitted := true; admitted; {
		admitted = false
		for i, s := range overloading {
			if q.Admits(s, 1, free, contended) {
				q.Add(s, 1)
				held[i]++
				free--
				admitted = true
			}
		}
	}
	return held
}

func TestSingleEmitterUsesAllCapacity(t *testing.T) {
	if held := fill(new(Quota), []uint16{1}, 100, false)[0]; held != 100 {
		t.Errorf("a single emitter holds %d of 100", held)
	}
}

func TestOverloadingEmitterLeavesCapacity(t *testing.T) {
	const capacity = 9000
	q := new(Quota)
	held := fill(q, []uint16{1}, capacity, true)[0]
	if held < capacity*8/10 || held > capacity*9/10 {
		t.Errorf("one emitter holds %d of %d, about 8/9 are wanted", held, capacity)
	}
	if !q.Admits(2, 100, capacity-held, true) {
		t.Error("another emitter is not admitted")
	}
}

func TestOverloadingEmittersShareEqually(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity = 10_000
		seen := make(map[uint16]bool)
		var overloading []uint16
		for i := range rapid.IntRange(2, 50).Draw(t, "emitters") {
			if s := SlotOf(0, packetOf(t, fmt.Sprint("emitter-", i))); !seen[s] {
				seen[s] = true
				overloading = append(overloading, s)
			}
		}
		held := fill(new(Quota), overloading, capacity, true)
		var sum, lowest, highest int64 = 0, capacity, 0
		for _, h := range held {
			sum, lowest, highest = sum+h, min(lowest, h), max(highest, h)
		}
		if highest-lowest > Factor+1 {
			t.Fatalf("overloading emitters hold %d to %d", lowest, highest)
		}
		if sum < capacity*8/10 || sum > capacity {
			t.Fatalf("together they hold %d of %d", sum, capacity)
		}
	})
}

func TestAdmitsAtMostTheFreeCapacity(t *testing.T) {
	q := new(Quota)
	for _, contended := range []bool{false, true} {
		if q.Admits(1, 11, 10, contended) {
			t.Error("more was admitted than is free")
		}
		if !q.Admits(1, 10, 10, contended) {
			t.Error("an emitter that holds nothing is not admitted")
		}
	}
}

func TestActivity(t *testing.T) {
	var a Activity
	start := time.Unix(1_700_000_000, 0)
	step := func(after time.Duration, slot uint16, want bool) {
		t.Helper()
		a.Record(slot, start.Add(after))
		if a.Contended() != want {
			t.Errorf("after %v: contended is %v", after, a.Contended())
		}
	}
	step(0, 1, false)
	step(time.Second, 1, false)
	step(2*time.Second, 2, true)
	step(2*time.Second+activeWindow, 1, true) // slot 2 counts for another generation
	step(2*time.Second+3*activeWindow, 1, false)
}

func TestClockSetBack(t *testing.T) {
	var a Activity
	now := time.Now()
	a.Record(1, now)
	a.Record(2, now)
	a.Record(1, clocktest.SetBack(t, now.Add(3*activeWindow), time.Hour))
	if a.Contended() {
		t.Error("an emitter that stopped sending still counts as active")
	}
}

func packetOf(t rapid.TB, emitter string) *packet.Packet {
	body := fmt.Appendf(nil, `{"emitter_id":%q,"packet_id":"p","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`, emitter)
	info, err := packet.Check(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &packet.Packet{Body: body, Info: info}
}

// Tags are the same in each process, as journals keep them, and each has a slot of its own.
func TestTags(t *testing.T) {
	if TagOf("") != 0 || TagOf("web") != 56 || TagOf("batch") != 249 {
		t.Errorf("tags: %d, %d, %d", TagOf(""), TagOf("web"), TagOf("batch"))
	}
	p, seen := packetOf(t, "emitter"), make(map[uint16]bool)
	for tag := range 256 {
		seen[SlotOf(Tag(tag), p)] = true
	}
	if len(seen) != 256 {
		t.Errorf("256 tags have %d slots", len(seen))
	}
}
