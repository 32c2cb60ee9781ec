// Package fifo is a first-in, first-out queue in a ring. It only orders; its
// owner bounds it and guards it.
package fifo

// Queue is a queue of values. The zero value is empty and ready. It grows by
// doubling and keeps its room. It must not be used concurrently.
type Queue[T any] struct {
	slots  []T
	first  int
	length int
}

// Len returns how many values wait.
func (q *Queue[T]) Len() int { return q.length }

// Push adds a value at the end.
func (q *Queue[T]) Push(value T) {
	if q.length == len(q.slots) {
		q.grow()
	}
	q.slots[q.place(q.length)] = value
	q.length++
}

// PushFront puts a value before all others.
func (q *Queue[T]) PushFront(value T) {
	if q.length == len(q.slots) {
		q.grow()
	}
	q.first = q.place(len(q.slots) - 1)
	q.slots[q.first] = value
	q.length++
}

// First returns the oldest value without taking it; the queue must not be empty.
func (q *Queue[T]) First() T { return q.slots[q.first] }

// Pop takes the oldest value; the queue must not be empty.
func (q *Queue[T]) Pop() T {
	var none T
	value := q.slots[q.first]
	q.slots[q.first] = none
	q.first = q.place(1)
	q.length--
	return value
}

// PopLast takes the newest value; the queue must not be empty.
func (q *Queue[T]) PopLast() T {
	var none T
	last := q.place(q.length - 1)
	value := q.slots[last]
	q.slots[last] = none
	q.length--
	return value
}

// place returns the slot of the value that stands offset behind the first.
// The number of slots is a power of two.
func (q *Queue[T]) place(offset int) int { return (q.first + offset) & (len(q.slots) - 1) }

func (q *Queue[T]) grow() {
	larger := make([]T, max(64, 2*len(q.slots)))
	for i := range q.length {
		larger[i] = q.slots[q.place(i)]
	}
	q.slots, q.first = larger, 0
}
