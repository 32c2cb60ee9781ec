//go:build !noeventloop

package eventloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Far more are ready at once than one look tells of, and nothing happens later.
func TestPollerTellsOfAll(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	want := make(map[int32]bool)
	for range 6 * len(p.events) {
		descriptor, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(descriptor)
		if err := p.add(descriptor); err != nil {
			t.Fatal(err)
		}
		want[int32(descriptor)] = true
	}
	if err := p.run(func(events []unix.EpollEvent) bool {
		for _, e := range events {
			if !want[e.Fd] && int(e.Fd) != p.wakes {
				t.Errorf("%d is reported twice, or was never added", e.Fd)
			}
			delete(want, e.Fd)
		}
		return len(want) > 0
	}); err != nil {
		t.Fatal(err)
	}
}

// A wake is heard whether it comes before the wait or during it.
func TestPollerWakes(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	heard := make(chan int)
	go func() {
		wakes := 0
		if err := p.run(func([]unix.EpollEvent) bool {
			wakes++
			heard <- wakes
			return wakes < 100
		}); err != nil {
			t.Error(err)
		}
	}()
	for want := 1; want <= 100; want++ {
		p.wake()
		if got := <-heard; got != want {
			t.Fatalf("wake %d is heard as %d", want, got)
		}
	}
}
