package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// queueModel is a Queue and a slice that must have the same elements.
type queueModel struct {
	queue Queue[int]
	model []int
	next  int
}

func TestQueueBehavesLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queueModel
		t.Repeat(map[string]func(*rapid.T){"push": q.push, "pop": q.pop, "pop last": q.popLast, "": q.check})
		var remaining []int
		for q.queue.Len() > 0 {
			remaining = append(remaining, q.queue.Pop())
		}
		if !slices.Equal(remaining, q.model) {
			t.Fatalf("remaining values: got %v, want %v", remaining, q.model)
		}
	})
}

func (q *queueModel) push(*rapid.T) {
	q.next++
	q.queue.Push(q.next)
	q.model = append(q.model, q.next)
}

func (q *queueModel) pop(t *rapid.T) {
	if len(q.model) == 0 {
		t.Skip("empty")
	}
	if first := q.queue.First(); first != q.model[0] {
		t.Fatalf("First: got %d, want %d", first, q.model[0])
	}
	if got := q.queue.Pop(); got != q.model[0] {
		t.Fatalf("Pop: got %d, want %d", got, q.model[0])
	}
	q.model = q.model[1:]
}

func (q *queueModel) popLast(t *rapid.T) {
	if len(q.model) == 0 {
		t.Skip("empty")
	}
	if got, want := q.queue.PopLast(), q.model[len(q.model)-1]; got != want {
		t.Fatalf("PopLast: got %d, want %d", got, want)
	}
	q.model = q.model[:len(q.model)-1]
}

func (q *queueModel) check(t *rapid.T) {
	if q.queue.Len() != len(q.model) {
		t.Fatalf("Len: got %d, want %d", q.queue.Len(), len(q.model))
	}
	for i, want := range q.model {
		if got := q.queue.At(i); got != want {
			t.Fatalf("At(%d): got %d, want %d", i, got, want)
		}
	}
}
