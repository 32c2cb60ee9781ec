//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tlsStream is TLS over a socket of the loop, without blocking: what the socket has not
// received yet is a temporary error to package tls.
type tlsStream struct {
	fd       int
	conn     *tls.Conn
	shaking  bool   // the handshake blocks
	received []byte // not decrypted yet
	sealed   []byte // of the last seal
	opened   []byte // of the last open
}

// newTLSStream completes the handshake over a socket that blocks.
func newTLSStream(fd int, config *tls.Config) (*tlsStream, error) {
	s := &tlsStream{fd: fd, shaking: true, opened: make([]byte, 0, 16<<10)}
	s.conn = tls.Client(rawConn{s}, config)
	err := s.conn.Handshake()
	s.shaking = false
	return s, err
}

// seal returns the records of a text; they are valid until the next call.
func (s *tlsStream) seal(text []byte) ([]byte, error) {
	s.sealed = s.sealed[:0]
	_, err := s.conn.Write(text)
	return s.sealed, err
}

// open returns the text of received records; it is valid until the next call.
func (s *tlsStream) open(records []byte) ([]byte, error) {
	s.received = append(s.received, records...)
	s.opened = s.opened[:0]
	for {
		if len(s.opened) == cap(s.opened) {
			s.opened = append(s.opened, 0)[:len(s.opened)]
		}
		n, err := s.conn.Read(s.opened[len(s.opened):cap(s.opened)])
		s.opened = s.opened[:len(s.opened)+n]
		if errors.Is(err, errWouldBlock) {
			return s.opened, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// rawConn is what package tls reads from and writes to.
type rawConn struct{ stream *tlsStream }

func (c rawConn) Read(dst []byte) (int, error) {
	s := c.stream
	if s.shaking {
		n, err := unix.Read(s.fd, dst)
		if n == 0 && err == nil {
			err = io.EOF
		}
		return max(n, 0), err
	}
	if len(s.received) == 0 {
		return 0, errWouldBlock
	}
	n := copy(dst, s.received)
	s.received = s.received[:copy(s.received, s.received[n:])]
	return n, nil
}

func (c rawConn) Write(text []byte) (int, error) {
	if c.stream.shaking {
		return unix.Write(c.stream.fd, text) // a blocking socket takes all
	}
	c.stream.sealed = append(c.stream.sealed, text...)
	return len(text), nil
}

func (rawConn) Close() error                     { return nil } // the loop's
func (rawConn) LocalAddr() net.Addr              { return nil }
func (rawConn) RemoteAddr() net.Addr             { return nil }
func (rawConn) SetDeadline(time.Time) error      { return nil }
func (rawConn) SetReadDeadline(time.Time) error  { return nil }
func (rawConn) SetWriteDeadline(time.Time) error { return nil }

// wouldBlock is temporary, so that package tls can continue after it.
type wouldBlock struct{}

var errWouldBlock net.Error = wouldBlock{}

func (wouldBlock) Error() string   { return "nothing more was received yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }
