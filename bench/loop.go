//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loop runs the load and the analyzers in one thread, to minimise processor
// time and avoid locks. Not for concurrent use; waiting code runs the loop
// meanwhile.
type loop struct {
	epoll    int
	handlers map[int32]handler
	events   [256]unix.EpollEvent
	// scratch is the read buffer of sockets, valid until the next event.
	scratch []byte
	// stopped ends every run with errStopped.
	stopped <-chan struct{}
}

const scratchBytes = 256 << 10

// handler handles the readiness of its socket.
type handler interface {
	ready(events uint32)
}

var errStopped = errors.New("stopped")

func newLoop(stopped <-chan struct{}) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{epoll: epoll, handlers: make(map[int32]handler), scratch: make([]byte, scratchBytes), stopped: stopped}, nil
}

// close closes the loop; sockets belong to their owners.
func (l *loop) close() { _ = unix.Close(l.epoll) }

// run handles events until done returns true, or returns errStopped, or
// errTimeout after the limit. It sleeps while there are no events, unless
// something is due soon.
func (l *loop) run(limit time.Duration, done func(now time.Time) bool) error {
	return l.poll(limit, 5, done)
}

// busyPoll is run without sleeping, for load with due times.
func (l *loop) busyPoll(limit time.Duration, done func(now time.Time) bool) error {
	return l.poll(limit, 0, done)
}

var errTimeout = errors.New("timed out")

func (l *loop) poll(limit time.Duration, sleepMilliseconds int, done func(now time.Time) bool) error {
	end := time.Now().Add(limit)
	for {
		now := time.Now()
		if done(now) {
			return nil
		}
		if now.After(end) {
			return errTimeout
		}
		select {
		case <-l.stopped:
			return errStopped
		default:
		}
		n, err := unix.EpollWait(l.epoll, l.events[:], sleepMilliseconds)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, event := range l.events[:max(n, 0)] {
			if h := l.handlers[event.Fd]; h != nil {
				h.ready(event.Events)
			}
		}
	}
}

// idle runs the loop for d.
func (l *loop) idle(d time.Duration) error {
	end := time.Now().Add(d)
	return l.run(2*d, func(now time.Time) bool { return !now.Before(end) })
}

func (l *loop) add(fd int, h handler) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	l.handlers[int32(fd)] = h
	return nil
}

func (l *loop) remove(fd int) {
	if _, ok := l.handlers[int32(fd)]; ok {
		delete(l.handlers, int32(fd))
		_ = unix.Close(fd) // also removes it from the epoll set
	}
}

// socket is a connection in a loop.
type socket struct {
	loop    *loop
	fd      int
	pending []byte // bytes still to be written, owned by the caller of write
}

// write sends b, and the rest of it when the socket is writable again; b must
// not change until sent reports true.
func (s *socket) write(b []byte) error {
	n, err := unix.Write(s.fd, b)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	if s.pending = b[max(n, 0):]; len(s.pending) > 0 {
		return s.watch(unix.EPOLLIN | unix.EPOLLOUT)
	}
	return nil
}

// flush continues a write.
func (s *socket) flush() error {
	n, err := unix.Write(s.fd, s.pending)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	if s.pending = s.pending[max(n, 0):]; len(s.pending) == 0 {
		return s.watch(unix.EPOLLIN)
	}
	return nil
}

func (s *socket) watch(events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(s.fd)}
	return unix.EpollCtl(s.loop.epoll, unix.EPOLL_CTL_MOD, s.fd, &event)
}

// read returns available bytes in the loop's scratch buffer, or none.
func (s *socket) read() ([]byte, error) {
	return s.readTo(s.loop.scratch[:0])
}

// readTo appends available bytes, or none, to b.
func (s *socket) readTo(b []byte) ([]byte, error) {
	b = slices.Grow(b, scratchBytes)
	n, err := unix.Read(s.fd, b[len(b):cap(b)])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return b, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return b[:len(b)+n], nil
}
