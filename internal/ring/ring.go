// Package ring implements a FIFO queue in a ring buffer. The owner of a queue
// limits its length and synchronizes access to it.
package ring

// Queue is a double-ended queue. The zero value is empty and ready. A Queue
// grows by doubling and never shrinks. It must not be used concurrently.
type Queue[T any] struct {
	slots []T // its length is 0 or a power of two
	head  int
	count int
}

// Len returns the number of values.
func (q *Queue[T]) Len() int { return q.count }

// Push appends a value at the tail.
func (q *Queue[T]) Push(value T) {
	if q.count == len(q.slots) {
		q.grow()
	}
	q.slots[q.index(q.count)] = value
	q.count++
}

// PushFront inserts a value at the head.
func (q *Queue[T]) PushFront(value T) {
	if q.count == len(q.slots) {
		q.grow()
	}
	q.head = q.index(len(q.slots) - 1)
	q.slots[q.head] = value
	q.count++
}

// First returns the value at the head; the queue must not be empty.
func (q *Queue[T]) First() T { return q.slots[q.head] }

// At returns the value at an offset from the head, which must be below Len.
func (q *Queue[T]) At(offset int) T { return q.slots[q.index(offset)] }

// Pop removes and returns the value at the head; the queue must not be empty.
func (q *Queue[T]) Pop() T {
	var zero T
	value := q.slots[q.head]
	q.slots[q.head] = zero
	q.head = q.index(1)
	q.count--
	return value
}

// PopLast removes and returns the value at the tail; the queue must not be empty.
func (q *Queue[T]) PopLast() T {
	var zero T
	tail := q.index(q.count - 1)
	value := q.slots[tail]
	q.slots[tail] = zero
	q.count--
	return value
}

// index returns the slot at an offset from the head.
func (q *Queue[T]) index(offset int) int { return (q.head + offset) & (len(q.slots) - 1) }

func (q *Queue[T]) grow() {
	larger := make([]T, max(64, 2*len(q.slots)))
	for i := range q.count {
		larger[i] = q.slots[q.index(i)]
	}
	q.slots, q.head = larger, 0
}
