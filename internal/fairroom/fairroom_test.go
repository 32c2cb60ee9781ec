package fairroom

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// fill lets emitters press in turn until nobody is admitted any more, and
// returns what each holds.
func fill(r *Room, slots []uint16, capacity int64) []int64 {
	held := make([]int64, len(slots))
	free := capacity
	for admitted := true; admitted; {
		admitted = false
		for i, s := range slots {
			if r.Admits(s, 1, free) {
				r.Add(s, 1)
				held[i]++
				free--
				admitted = true
			}
		}
	}
	return held
}

func TestOneAloneLeavesRoom(t *testing.T) {
	const capacity = 9000
	r := New()
	held := fill(r, []uint16{r.Slot([]byte("noisy"))}, capacity)[0]
	if held < capacity*8/10 || held > capacity*9/10 {
		t.Errorf("one emitter alone holds %d of %d, about 8/9 are wanted", held, capacity)
	}
	if !r.Admits(r.Slot([]byte("calm")), 100, capacity-held) {
		t.Error("another finds no room")
	}
}

func TestManyShareEqually(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity = 10_000
		r := New()
		seen := make(map[uint16]bool)
		var pressing []uint16
		for i := range rapid.IntRange(2, 50).Draw(t, "emitters") {
			if s := r.Slot(fmt.Append(nil, i)); !seen[s] {
				seen[s] = true
				pressing = append(pressing, s)
			}
		}
		held := fill(r, pressing, capacity)
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
	r := New()
	if r.Admits(1, 11, 10) {
		t.Error("more was admitted than is free")
	}
	if !r.Admits(1, 10, 10) {
		t.Error("an emitter that holds nothing does not get what is free")
	}
}
