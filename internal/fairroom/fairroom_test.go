package fairroom

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logstreamer/logstreamer/internal/clocktest"
)

// fill lets emitters press in turn until nobody is admitted any more, and
// returns what each holds.
func fill(r *Room, pressing []uint16, capacity int64, others bool) []int64 {
	held := make([]int64, len(pressing))
	free := capacity
	for admitted := true; admitted; {
		admitted = false
		for i, s := range pressing {
			if r.Admits(s, 1, free, others) {
				r.Add(s, 1)
				held[i]++
				free--
				admitted = true
			}
		}
	}
	return held
}

func TestOneAloneHasItAll(t *testing.T) {
	if held := fill(new(Room), []uint16{1}, 100, false)[0]; held != 100 {
		t.Errorf("one emitter alone holds %d of 100", held)
	}
}

func TestOneThatPressesLeavesRoom(t *testing.T) {
	const capacity = 9000
	r := new(Room)
	held := fill(r, []uint16{1}, capacity, true)[0]
	if held < capacity*8/10 || held > capacity*9/10 {
		t.Errorf("one emitter holds %d of %d, about 8/9 are wanted", held, capacity)
	}
	if !r.Admits(2, 100, capacity-held, true) {
		t.Error("another finds no room")
	}
}

func TestManyShareEqually(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity = 10_000
		seen := make(map[uint16]bool)
		var pressing []uint16
		for i := range rapid.IntRange(2, 50).Draw(t, "emitters") {
			if s := SlotOf(fmt.Append(nil, i)); !seen[s] {
				seen[s] = true
				pressing = append(pressing, s)
			}
		}
		held := fill(new(Room), pressing, capacity, true)
		var sum, least, most int64 = 0, capacity, 0
		for _, h := range held {
			sum, least, most = sum+h, min(least, h), max(most, h)
		}
		if most-least > Factor+1 {
			t.Fatalf("those that press alike hold %d to %d", least, most)
		}
		if sum < capacity*8/10 || sum > capacity {
			t.Fatalf("together they hold %d of %d", sum, capacity)
		}
	})
}

func TestNeverMoreThanIsFree(t *testing.T) {
	r := new(Room)
	for _, others := range []bool{false, true} {
		if r.Admits(1, 11, 10, others) {
			t.Error("more was admitted than is free")
		}
		if !r.Admits(1, 10, 10, others) {
			t.Error("an emitter that holds nothing does not get what is free")
		}
	}
}

func TestPresence(t *testing.T) {
	var p Presence
	start := time.Unix(1_700_000_000, 0)
	step := func(after time.Duration, slot uint16, want bool) {
		t.Helper()
		p.Note(slot, start.Add(after))
		if p.Many() != want {
			t.Errorf("after %v: many is %v", after, p.Many())
		}
	}
	step(0, 1, false)
	step(time.Second, 1, false)
	step(2*time.Second, 2, true)
	step(2*time.Second+memory, 1, true) // the other may only be slow
	step(2*time.Second+3*memory, 1, false)
}

func TestClockSetBack(t *testing.T) {
	var p Presence
	now := time.Now()
	p.Note(1, now)
	p.Note(2, now)
	p.Note(1, clocktest.SetBack(t, now.Add(3*memory), time.Hour))
	if p.Many() {
		t.Error("one that has not sent for long still counts as being there")
	}
}
