package http1

import "testing"

// The memory of a body that is released when it has been sent is not written to by a later
// response.
func TestReleasedBodyIsNotReused(t *testing.T) {
	var pool ResponsePool
	lent := make([]byte, 10, 100)
	for range 100 { // with the race detector a pool drops some
		r := pool.Get()
		r.SetJSON(200, lent)
		r.Sent = func() {}
		pool.Put(r)
		if again := pool.Get(); cap(again.Body) > 0 && &again.Body[:1][0] == &lent[0] {
			t.Fatal("a response is reused with a body that is not its own")
		}
	}
}
