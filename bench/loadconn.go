//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loadConn is a connection of the load.
type loadConn struct {
	load    *load
	socket  socket
	secure  *tlsStream // nil without TLS
	request *request
	first   int64 // the id of the request's first packet
	due     time.Time
	resume  time.Time
	partial []byte
}

func (e *loadConn) connect(port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	)
	if err == nil && e.load.tls != nil {
		e.secure, err = newTLSStream(fd, e.load.tls)
	}
	if err = errors.Join(err, unix.SetNonblock(fd, true)); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	e.socket = socket{loop: e.load.loop, fd: fd}
	return e.load.loop.add(fd, e)
}

// reconnect opens a new connection after a response that closes the old one.
func (e *loadConn) reconnect() error {
	address, err := unix.Getpeername(e.socket.fd)
	if err != nil {
		return fmt.Errorf("connect again: %w", err)
	}
	e.load.loop.remove(e.socket.fd)
	return e.connect(address.(*unix.SockaddrInet4).Port)
}

func (e *loadConn) send(due time.Time) {
	l := e.load
	e.first = l.ledger.assignIDs(e.request.packets)
	e.request.assignIDs(e.first)
	e.due = due
	l.busy++
	err := e.write(e.request.bytes)
	if err == nil && e.isOneWay() {
		err = e.socket.watch(unix.EPOLLIN | unix.EPOLLOUT)
	}
	if err != nil {
		l.fail(fmt.Errorf("send: %w", err))
	}
}

func (e *loadConn) isOneWay() bool { return e.request.format != nil && e.request.format.oneWay }

// written handles that a request without a response is written.
func (e *loadConn) written() {
	e.load.busy--
	e.load.ledger.accept(e.first, e.request.packets)
	e.sendNext(time.Now())
}

// maxUnanswered is how many records without a response may be on their way: the buffers of sockets
// hold hundreds of megabytes for a slow subject.
const maxUnanswered = 50_000

func (e *loadConn) write(text []byte) (err error) {
	if e.secure != nil {
		if text, err = e.secure.seal(text); err != nil {
			return err
		}
	}
	return e.socket.write(text)
}

// read returns what was received, which is valid until the next event.
func (e *loadConn) read() ([]byte, error) {
	got, err := e.socket.read()
	if err == nil && e.secure != nil {
		return e.secure.open(got)
	}
	return got, err
}

func (e *loadConn) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		if err := e.socket.flush(); err != nil {
			e.fail(err)
			return
		}
		if e.isOneWay() && len(e.socket.pending) == 0 {
			e.written()
			return
		}
	}
	got, err := e.read()
	if err != nil {
		e.fail(err)
		return
	}
	if e.partial != nil {
		e.partial = append(e.partial, got...)
		got = e.partial
	}
	m, ok, err := e.request.parse(got)
	switch {
	case err != nil:
		e.load.fail(fmt.Errorf("answer: %w", err))
	case ok:
		e.partial = nil
		e.handleResponse(m)
	default:
		e.partial = append([]byte(nil), got...)
	}
}

func (e *loadConn) handleResponse(m message) {
	l := e.load
	now := time.Now()
	_ = l.latency.RecordValue(max(1, int64(now.Sub(e.due))))
	l.busy--
	if m.last {
		if err := e.reconnect(); err != nil {
			l.fail(err)
			return
		}
	}
	switch status := m.status(); {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		l.refused += int64(e.request.packets)
		e.pause(now)
		return
	case status == http.StatusMultiStatus:
		if err := e.handlePartial(m.body); err != nil {
			l.fail(err)
		}
		e.pause(now)
		return
	case status >= 200 && status < 300:
		if err := e.request.confirm(m); err != nil {
			l.fail(err)
			return
		}
		l.ledger.accept(e.first, e.request.packets)
	default:
		l.fail(fmt.Errorf("answered %s: %.200s", m.start, m.body))
		return
	}
	e.sendNext(now)
}

// handlePartial handles a 207: it reads which packets of an NDJSON request were
// refused, in any order.
func (e *loadConn) handlePartial(body []byte) error {
	type refusedLine struct {
		Line int    `json:"line"`
		Code string `json:"code"`
	}
	var part struct {
		Refused []refusedLine `json:"refused"`
	}
	if err := json.Unmarshal(body, &part); err != nil {
		return fmt.Errorf("answered 207: %w: %.200s", err, body)
	}
	slices.SortFunc(part.Refused, func(a, b refusedLine) int { return a.Line - b.Line })
	next := 1
	for _, refused := range part.Refused {
		if refused.Line < next || refused.Line > e.request.packets || refused.Code != "overloaded" {
			return fmt.Errorf("answered 207 with an invalid refusal: line %d, code %q", refused.Line, refused.Code)
		}
		e.load.ledger.accept(e.first+int64(next-1), refused.Line-next)
		next = refused.Line + 1
	}
	e.load.ledger.accept(e.first+int64(next-1), e.request.packets-next+1)
	e.load.refused += int64(len(part.Refused))
	return nil
}

// refusedPause is how long a connection pauses after a refusal. An emitter
// would wait for Retry-After, a second or more, and a short round would measure
// waiting.
const refusedPause = 10 * time.Millisecond

func (e *loadConn) pause(now time.Time) {
	e.resume = now.Add(refusedPause)
	e.load.paused = append(e.load.paused, e)
}

// sendNext sends the next request, or waits until one is due.
func (e *loadConn) sendNext(now time.Time) {
	l := e.load
	switch {
	case l.sending && e.isOneWay() && l.ledger.missing > maxUnanswered:
		e.pause(now)
		return
	case l.sending && l.interval == 0:
		e.send(now)
		return
	}
	l.free = append(l.free, e)
	l.sendDue(now)
}

func (e *loadConn) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("the connection was closed")
	}
	e.load.loop.remove(e.socket.fd)
	e.load.fail(fmt.Errorf("receive: %w", err))
}
