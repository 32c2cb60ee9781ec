package demo

import "testing"

func TestArrivals(t *testing.T) {
	a := newArrivals("x", "y")
	for _, n := range []int64{1, 64, 2, 64, 1000, 64} {
		if !a.note("x", n, 10) {
			t.Errorf("%d is unknown", n)
		}
	}
	a.note("y", 1, 3)
	for _, n := range []int64{0, -1, maxNumber + 1} {
		if a.note("x", n, 10) {
			t.Errorf("%d is known", n)
		}
	}
	if a.note("z", 1, 10) {
		t.Error("a foreign sender is known")
	}
	if got := a.of("x"); got.numbers != 4 || got.messages != 40 || got.again != 2 {
		t.Errorf("%+v", got)
	}
	if got := a.sum(); got.numbers != 5 || got.messages != 43 || got.again != 2 {
		t.Errorf("%+v", got)
	}
}
