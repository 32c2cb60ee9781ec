//go:build !noeventloop

package eventloop

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for many sockets from one goroutine. It has an epoll instance of its
// own, for which the goroutine waits through the runtime's poller, as for any file: all
// ready sockets take one switch of goroutines, and other goroutines run meanwhile.
type poller struct {
	epoll  *os.File
	waiter syscall.RawConn
	wakes  int // an eventfd
	events [maxEvents]unix.EpollEvent
}

// maxEvents is how many events are fetched before other goroutines may run.
const maxEvents = 128

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p := &poller{wakes: -1}
	if err := unix.SetNonblock(epoll, true); err != nil { // so that os registers it with the runtime's poller
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	p.epoll = os.NewFile(uintptr(epoll), "epoll")
	if p.waiter, err = p.epoll.SyscallConn(); err == nil {
		p.wakes, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = p.add(p.wakes)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = p.epoll.Close()
	if p.wakes >= 0 {
		_ = unix.Close(p.wakes)
	}
}

// add registers a descriptor edge-triggered: callers must remember unread data.
func (p *poller) add(descriptor int) error {
	return p.control(unix.EPOLL_CTL_ADD, descriptor)
}

// remove must come before the descriptor is closed if it has a copy.
func (p *poller) remove(descriptor int) {
	_ = p.control(unix.EPOLL_CTL_DEL, descriptor)
}

func (p *poller) control(operation, descriptor int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(descriptor)}
	var failed error
	err := p.waiter.Control(func(epoll uintptr) {
		failed = unix.EpollCtl(int(epoll), operation, descriptor, &event)
	})
	return errors.Join(err, failed)
}

// wake makes run call ready. It may be called concurrently until close.
func (p *poller) wake() {
	_, _ = writeNow(p.wakes, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// run calls ready with events until it returns false. It waits through the runtime
// after each call, although more events may be ready: only then does the runtime poll
// for other goroutines.
func (p *poller) run(ready func([]unix.EpollEvent) (goOn bool)) error {
	var failed error
	err := p.waiter.Read(func(epoll uintptr) (done bool) {
		n, err := readyNow(int(epoll), p.events[:])
		switch {
		case err != nil:
			failed = err
			return true
		case n > 0 && !ready(p.events[:n]):
			return true
		}
		if n == len(p.events) { // the runtime does not report those that are left
			p.wake()
		}
		return false
	})
	return errors.Join(err, failed)
}
