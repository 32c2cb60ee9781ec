package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestQueueBehavesLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var queue Queue[int]
		var model []int
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) {
				next++
				queue.Push(next)
				model = append(model, next)
			},
			"pop": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				if first := queue.First(); first != model[0] {
					t.Fatalf("First: got %d, want %d", first, model[0])
				}
				if got := queue.Pop(); got != model[0] {
					t.Fatalf("Pop: got %d, want %d", got, model[0])
				}
				model = model[1:]
			},
			"pop last": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				if got, want := queue.PopLast(), model[len(model)-1]; got != want {
					t.Fatalf("PopLast: got %d, want %d", got, want)
				}
				model = model[:len(model)-1]
			},
			"": func(t *rapid.T) {
				if queue.Len() != len(model) {
					t.Fatalf("Len: got %d, want %d", queue.Len(), len(model))
				}
				for i, want := range model {
					if got := queue.At(i); got != want {
						t.Fatalf("At(%d): got %d, want %d", i, got, want)
					}
				}
			},
		})
		var remaining []int
		for queue.Len() > 0 {
			remaining = append(remaining, queue.Pop())
		}
		if !slices.Equal(remaining, model) {
			t.Fatalf("remaining values: got %v, want %v", remaining, model)
		}
	})
}
