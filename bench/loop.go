//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// loop drives the load and the analyzers in one thread, so that they take as
// little processor time as can be and need no locks. Nothing of it may be used
// concurrently; whoever waits for something runs the loop meanwhile.
type loop struct {
	epoll    int
	handlers map[int32]handler
	events   [256]unix.EpollEvent
	// scratch is what sockets read into; it is valid until the next event.
	scratch []byte
	// stopped ends every run with an error: the user wants to stop.
	stopped <-chan struct{}
}

// handler is told that its socket can be read or written.
type handler interface {
	ready(events uint32)
}

var errStopped = errors.New("stopped")

func newLoop(stopped <-chan struct{}) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{epoll: epoll, handlers: make(map[int32]handler), scratch: make([]byte, 256<<10), stopped: stopped}, nil
}

// close ends the loop; its sockets belong to others.
func (l *loop) close() { _ = unix.Close(l.epoll) }

// run handles events until done returns true, or returns errStopped, or
// errLate after the deadline. It sleeps while nothing happens, unless
// something is due soon.
func (l *loop) run(limit time.Duration, done func(now time.Time) bool) error {
	return l.turn(limit, 5, done)
}

// spin is run without sleep, for load that must be sent on time.
func (l *loop) spin(limit time.Duration, done func(now time.Time) bool) error {
	return l.turn(limit, 0, done)
}

var errLate = errors.New("it took too long")

func (l *loop) turn(limit time.Duration, sleepMilliseconds int, done func(now time.Time) bool) error {
	end := time.Now().Add(limit)
	for {
		now := time.Now()
		if done(now) {
			return nil
		}
		if now.After(end) {
			return errLate
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

// idle runs the loop for a while.
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
		_ = unix.Close(fd) // leaves the epoll set by itself
	}
}

// socket is a connection in a loop.
type socket struct {
	loop    *loop
	fd      int
	pending []byte // still to be written; belongs to whoever wrote it
}

// write sends all of b, the rest of it when there is room again: until sent
// tells so, b must stay as it is.
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

// flush goes on with a write.
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

// read returns what is there, in the loop's scratch; nothing when there is
// nothing yet.
func (s *socket) read() ([]byte, error) {
	n, err := unix.Read(s.fd, s.loop.scratch)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return s.loop.scratch[:n], nil
}
