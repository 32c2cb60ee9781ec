//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// analyzers respond at once to every request and record it in the ledger. Each
// listens on its own port.
type analyzers struct {
	loop   *loop
	ledger *ledger
	health []byte
	ports  []int
	fds    map[int]bool
	spare  [][]byte // pooled buffers for requests that arrive in pieces
}

var taken = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n" + `{"status":"processed"}`)

// newAnalyzers listens; lines selects NDJSON.
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
	return a.loop.add(fd, &acceptor{a, fd})
}

func (a *analyzers) close() {
	for fd := range a.fds {
		a.loop.remove(fd)
	}
	a.fds = nil
}

// acceptor accepts connections of an analyzer.
type acceptor struct {
	analyzers *analyzers
	fd        int
}

func (d *acceptor) ready(uint32) {
	fd, _, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return // the peer disconnected, or epoll reports again
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	v := &analyzerConn{analyzers: d.analyzers, socket: socket{loop: d.analyzers.loop, fd: fd}}
	d.analyzers.fds[fd] = true
	if d.analyzers.loop.add(fd, v) != nil {
		v.close()
	}
}

// analyzerConn is a connection to an analyzer.
type analyzerConn struct {
	analyzers *analyzers
	socket    socket
	partial   []byte // the received part of an incomplete request
	threshold int    // SO_RCVLOWAT, or 0 for the default of one byte
}

func (v *analyzerConn) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 && v.socket.flush() != nil {
		v.close()
		return
	}
	got, err := v.read()
	if err == nil {
		err = v.take(got)
	}
	if err != nil {
		v.close()
	}
}

// read returns what was received of a request or several, which is valid until the next event.
func (v *analyzerConn) read() (got []byte, err error) {
	if v.partial == nil {
		return v.socket.read()
	}
	v.partial, err = v.socket.readTo(v.partial)
	return v.partial, err
}

// take handles the complete requests and buffers the rest.
func (v *analyzerConn) take(b []byte) error {
	for {
		if len(b) > 0 && b[0] == '<' {
			b = v.takeLines(b)
			break
		}
		m, ok, err := parseMessage(b)
		if err != nil {
			return err
		}
		if !ok {
			v.expect(m.size - len(b))
			break
		}
		if err := v.answer(m); err != nil {
			return err
		}
		b = b[m.size:]
	}
	v.buffer(b)
	return nil
}

// expect has the connection ready once the missing bytes of a request are received, as a switch
// to the analyzers for each part of a long request costs as much as they do. n is at most 0 when it
// is unknown.
func (v *analyzerConn) expect(n int) {
	const enough = 16 << 10
	if n < enough {
		n = 0
	}
	if n != v.threshold && unix.SetsockoptInt(v.socket.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) == nil {
		v.threshold = n
	}
}

// takeLines handles the complete lines of a stream of syslog, whose first byte no request has,
// and returns the rest.
func (v *analyzerConn) takeLines(b []byte) []byte {
	end := bytes.LastIndexByte(b, '\n') + 1
	if ledger := v.analyzers.ledger; end > 0 && ledger.text.records != nil {
		ledger.text.records.arrived(b[:end], ledger)
	}
	return b[end:]
}

// buffer stores the received part of an incomplete request.
func (v *analyzerConn) buffer(rest []byte) {
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

func (v *analyzerConn) answer(m message) error {
	if bytes.HasPrefix(m.start, []byte("GET ")) || len(m.body) == 0 {
		return v.socket.write(v.analyzers.health)
	}
	ledger := v.analyzers.ledger
	if records := ledger.text.records; records != nil {
		records.arrived(m.body, ledger)
		return v.socket.write(records.taken)
	}
	if string(m.kind) != "application/x-ndjson" {
		ledger.arrive(m.body)
		return v.socket.write(taken)
	}
	for lines := m.body; len(lines) > 0; {
		var line []byte
		line, lines = splitLine(lines, ledger.text.size())
		ledger.arrive(line)
	}
	return v.socket.write(taken)
}

// splitLine returns the first line, and the rest; size is the expected length
// of the line.
func splitLine(b []byte, size int) (line, rest []byte) {
	if len(b) > size && b[size] == '\n' {
		return b[:size], b[size+1:]
	}
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return line, rest
}

func (v *analyzerConn) close() {
	delete(v.analyzers.fds, v.socket.fd)
	v.analyzers.loop.remove(v.socket.fd)
}
