package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/logstreamer/logstreamer/internal/server/eventloop"
	"github.com/logstreamer/logstreamer/internal/worker"
)

// released are connections that no request is read from, for another Server to continue with.
// It may be used concurrently.
type released struct {
	mu    sync.Mutex // guards conns
	conns []net.Conn
}

// Release ends serving so that another Server can continue without any client noticing: it
// closes the listener, of which the caller keeps a copy, answers the requests that have
// begun, and sets aside each connection once no request is under way on it. It refuses
// nothing. An encrypted connection, which cannot be set aside, ends with its next answer, or
// after Timeouts.Stop if it has no request. It returns how many connections are left, because a
// request is not received or answered within Timeouts.Release (a quarter of the remaining
// time). Stop must follow, without its DrainDelay, and then Released.
func (s *Server) Release(ctx context.Context) (open int) {
	s.releasing.Store(true)
	_ = s.listener.Close()
	s.accepting.Wait()
	s.loops.Release()
	ctx, cancel := context.WithTimeout(ctx, limitToQuarter(ctx, s.sweeper.timeouts.Release))
	defer cancel()
	grace := time.Now().Add(s.sweeper.timeouts.Stop)
	worker.Poll(ctx, func() bool {
		all := time.Now().After(grace)
		s.connections.each(func(c *connection) { c.interrupt(all) })
		return s.open() == 0
	})
	return s.open()
}

// Released returns the connections set aside since Release, after Stop.
func (s *Server) Released() []net.Conn {
	s.released.mu.Lock()
	defer s.released.mu.Unlock()
	return s.released.conns
}

// release sets a connection aside.
func (s *Server) release(conn net.Conn, client netip.Addr) {
	_ = conn.SetDeadline(time.Time{})
	s.clients.Give(client, 1)
	s.released.mu.Lock()
	defer s.released.mu.Unlock()
	s.released.conns = append(s.released.conns, conn)
}

// fallBack takes a connection from an event loop.
func (s *Server) fallBack(f *eventloop.Fallback) {
	if s.releasing.Load() && len(f.Unread)+len(f.Unsent) == 0 {
		s.release(f.Conn, f.Client)
		return
	}
	s.serveConnection(&connection{Fallback: *f}, s.config.Load().Timeouts.Read)
}

// await waits for the next request. It reports false if there is none.
func (c *connection) await() bool {
	c.setAwaiting(true)
	err := c.reader.Await()
	c.setAwaiting(false)
	c.released = errors.Is(err, os.ErrDeadlineExceeded) && c.server.releasing.Load() && c.releasable()
	return err == nil
}

func (c *connection) setAwaiting(awaiting bool) {
	c.deadlines.setting.Lock()
	defer c.deadlines.setting.Unlock()
	c.awaiting = awaiting
}

// interrupt ends the wait for the next request, if the connection can be released, or always.
func (c *connection) interrupt(always bool) {
	c.deadlines.setting.Lock()
	defer c.deadlines.setting.Unlock()
	if c.awaiting && (always || c.releasable()) {
		c.deadlines.read.Store(expired) // the next startRead revokes it
		_ = c.Conn.SetReadDeadline(longAgo)
	}
}

// releasable reports whether the connection is a socket without further state, such as
// that of encryption.
func (c *connection) releasable() bool {
	_, ok := c.Conn.(syscall.Conn)
	return ok
}
