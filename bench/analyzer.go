//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// analyzers answer at once whatever they are sent, and write it into the
// ledger. Each listens on a port of its own.
type analyzers struct {
	loop   *loop
	ledger *ledger
	health []byte
	ports  []int
	fds    map[int]bool
	spare  [][]byte // buffers for requests that arrive in pieces
}

var taken = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n" + `{"status":"processed"}`)

// newAnalyzers listens; lines tells whether they take NDJSON.
func newAnalyzers(l *loop, ledger *ledger, count int, lines bool) (*analyzers, error) {
	a := &analyzers{loop: l, ledger: ledger, fds: make(map[int]bool)}
	accepts := ""
	if lines {
		accepts = "Accept-Post: application/x-ndjson\r\n"
	}
	a.health = []byte("HTTP/1.1 200 OK\r\n" + accepts + "Content-Length: 0\r\n\r\n")
	for range count {
		if err := a.listen(); err != nil {
			a.close()
			return nil, fmt.Errorf("analyzer: %w", err)
		}
	}
	return a, nil
}

func (a *analyzers) listen() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(fd, 1024),
	); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	a.ports = append(a.ports, address.(*unix.SockaddrInet4).Port)
	a.fds[fd] = true
	return a.loop.add(fd, &door{a, fd})
}

func (a *analyzers) close() {
	for fd := range a.fds {
		a.loop.remove(fd)
	}
	a.fds = nil
}

// door accepts an analyzer's connections.
type door struct {
	analyzers *analyzers
	fd        int
}

func (d *door) ready(uint32) {
	fd, _, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return // the other side has gone, or epoll tells again
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	v := &visit{analyzers: d.analyzers, socket: socket{loop: d.analyzers.loop, fd: fd}}
	d.analyzers.fds[fd] = true
	if d.analyzers.loop.add(fd, v) != nil {
		v.leave()
	}
}

// visit is one connection to an analyzer.
type visit struct {
	analyzers *analyzers
	socket    socket
	partial   []byte // the start of a request whose rest is on its way
}

func (v *visit) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 && v.socket.flush() != nil {
		v.leave()
		return
	}
	got, err := v.socket.read()
	if err == nil {
		err = v.take(got)
	}
	if err != nil {
		v.leave()
	}
}

// take handles the requests that are complete and keeps the rest.
func (v *visit) take(got []byte) error {
	b := got
	if v.partial != nil {
		v.partial = append(v.partial, got...)
		b = v.partial
	}
	for {
		m, ok, err := parseMessage(b)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := v.answer(m); err != nil {
			return err
		}
		b = b[m.size:]
	}
	v.keep(b)
	return nil
}

// keep holds what is left of the bytes read until more arrives.
func (v *visit) keep(rest []byte) {
	a := v.analyzers
	switch {
	case len(rest) == 0 && v.partial != nil:
		a.spare = append(a.spare, v.partial[:0])
		v.partial = nil
	case len(rest) > 0 && v.partial != nil:
		v.partial = v.partial[:copy(v.partial, rest)]
	case len(rest) > 0:
		if n := len(a.spare); n > 0 {
			v.partial, a.spare = a.spare[n-1], a.spare[:n-1]
		}
		v.partial = append(v.partial, rest...)
	}
}

func (v *visit) answer(m message) error {
	if bytes.HasPrefix(m.start, []byte("GET ")) {
		return v.socket.write(v.analyzers.health)
	}
	ledger := v.analyzers.ledger
	if string(m.kind) != "application/x-ndjson" {
		ledger.arrive(m.body)
		return v.socket.write(taken)
	}
	for lines := m.body; len(lines) > 0; {
		var line []byte
		line, lines = cutLine(lines, ledger.text.size())
		ledger.arrive(line)
	}
	return v.socket.write(taken)
}

// cutLine returns the first line; it looks for its end where it should be.
func cutLine(b []byte, size int) (line, rest []byte) {
	if len(b) > size && b[size] == '\n' {
		return b[:size], b[size+1:]
	}
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return line, rest
}

func (v *visit) leave() {
	delete(v.analyzers.fds, v.socket.fd)
	v.analyzers.loop.remove(v.socket.fd)
}
