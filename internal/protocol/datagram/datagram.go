// Package datagram reads UDP sockets in batches. The batches are bounded: datagrams for which
// none is free are dropped and counted, since UDP has no way to stop a sender.
package datagram

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	maxDatagram = 64 << 10
	// A batch has that many bytes and datagrams at most; there are that many batches.
	batchBytes     = 2 * maxDatagram
	batchDatagrams = 500
	batches        = 8
	// delay is how long a batch waits for more datagrams.
	delay = 20 * time.Millisecond
	// receiveBuffer is the size of the kernel's buffer that is asked for, in bytes. The kernel
	// may give less (on Linux net.core.rmem_max).
	receiveBuffer = 4 << 20
)

// Datagram is a datagram of a batch.
type Datagram struct {
	From    netip.AddrPort
	Payload []byte
}

// Handler takes the datagrams of a batch, which are valid until it returns. It returns before
// long when ctx has ended. It is not called concurrently.
type Handler func(ctx context.Context, batch []Datagram)

// Dependencies are what a Server uses.
type Dependencies struct {
	Handler Handler
	// Dropped is called with a number of datagrams that were read and dropped, and
	// KernelDropped with one that the kernel has dropped, where it can be known. They are called
	// by one goroutine.
	Dropped, KernelDropped func(datagrams int)
	Logger                 *slog.Logger
}

// Server reads a socket.
type Server struct {
	deps    Dependencies
	conn    *net.UDPConn
	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	free    chan *batch
	full    chan *batch
	serving sync.WaitGroup

	control  []byte // of the last datagram
	overflow uint32 // datagrams that the kernel has dropped
	dropping bool   // datagrams are dropped since the last batch
}

type batch struct {
	data      []byte
	datagrams []Datagram
}

// Serve starts reading a socket, of UDP.
func Serve(conn net.PacketConn, deps Dependencies) *Server {
	s := &Server{
		deps: deps, conn: conn.(*net.UDPConn), free: make(chan *batch, batches), full: make(chan *batch, batches),
		control: make([]byte, 128),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	_ = s.conn.SetReadBuffer(receiveBuffer)
	reportOverflow(s.conn)
	for range batches {
		s.free <- &batch{data: make([]byte, 0, batchBytes)}
	}
	s.serving.Go(s.read)
	s.serving.Go(s.handle)
	return s
}

// Stop ends reading, lets the handler take what was read and waits for it.
func (s *Server) Stop(context.Context) error {
	s.cancel()
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	s.serving.Wait()
	return s.conn.Close()
}

// read fills batches until the socket ends.
func (s *Server) read() {
	defer close(s.full)
	scratch := &batch{data: make([]byte, 0, maxDatagram)}
	for s.ctx.Err() == nil {
		select {
		case b := <-s.free:
			s.fill(b)
			s.notDropping()
			s.full <- b
		default:
			s.drop(scratch)
		}
	}
}

// fill reads a batch: it waits for the first datagram and then a while for others.
func (s *Server) fill(b *batch) {
	b.data, b.datagrams = b.data[:0], b.datagrams[:0]
	deadline := time.Time{}
	for len(b.datagrams) < batchDatagrams && cap(b.data)-len(b.data) >= maxDatagram {
		if !s.readOne(b, deadline) {
			return
		}
		if len(b.datagrams) == 1 {
			deadline = time.Now().Add(delay)
		}
	}
}

// readOne reports false if the deadline has passed or the server stops.
func (s *Server) readOne(b *batch, deadline time.Time) bool {
	if len(b.datagrams) < 2 { // later ones have the deadline of the second
		_ = s.conn.SetReadDeadline(deadline)
	}
	for s.ctx.Err() == nil {
		start := len(b.data)
		n, control, _, from, err := s.conn.ReadMsgUDPAddrPort(b.data[start:start+maxDatagram], s.control)
		switch {
		case err == nil:
			s.countOverflow(s.control[:control])
			b.data = b.data[:start+n]
			b.datagrams = append(b.datagrams, Datagram{from, b.data[start : start+n]})
			return true
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return false
		}
		// An error of another datagram, such as an ICMP message about one that was sent.
	}
	return false
}

// drop reads a datagram for which no batch is free.
func (s *Server) drop(scratch *batch) {
	scratch.data, scratch.datagrams = scratch.data[:0], scratch.datagrams[:0]
	if !s.readOne(scratch, time.Now().Add(delay)) {
		return
	}
	s.deps.Dropped(1)
	if !s.dropping {
		s.dropping = true
		s.deps.Logger.Warn("datagrams are dropped: there is no capacity")
	}
}

func (s *Server) notDropping() {
	if s.dropping {
		s.dropping = false
		s.deps.Logger.Info("datagrams are taken again")
	}
}

// countOverflow notes the kernel's count of dropped datagrams, which wraps around.
func (s *Server) countOverflow(control []byte) {
	total, known := overflowOf(control)
	if !known || total == s.overflow {
		return
	}
	s.deps.KernelDropped(int(total - s.overflow))
	s.overflow = total
}

func (s *Server) handle() {
	for b := range s.full {
		if len(b.datagrams) > 0 {
			s.deps.Handler(s.ctx, b.datagrams)
		}
		s.free <- b
	}
}
