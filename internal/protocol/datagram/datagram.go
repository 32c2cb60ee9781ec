// Package datagram reads UDP sockets in batches. The number of batches is bounded: datagrams that
// arrive while no batch is free are dropped and counted, since UDP cannot stop a sender.
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
	// Bounds of a batch in bytes and datagrams, and the number of batches.
	batchBytes     = 2 * maxDatagram
	batchDatagrams = 500
	batches        = 16
	// delay is how long a batch waits for more datagrams.
	delay = 20 * time.Millisecond
	// receiveBuffer is the requested size of the kernel's buffer, in bytes. The kernel may give
	// less (on Linux net.core.rmem_max).
	receiveBuffer = 4 << 20
)

// Datagram is a datagram of a batch.
type Datagram struct {
	From    netip.AddrPort
	Payload []byte
}

// Handler takes the datagrams of a batch, which are valid until it returns. It must return soon
// after ctx has ended. It is not called concurrently.
type Handler func(ctx context.Context, batch []Datagram)

// Dependencies are what a Server uses.
type Dependencies struct {
	Handler Handler
	// Dropped is called with the number of datagrams that were read and dropped, and KernelDropped
	// with the number of datagrams that the kernel has dropped, where the kernel reports it. Both
	// are called by one goroutine.
	Dropped, KernelDropped func(datagrams int)
	// Stopped, unless nil, is called after the last batch.
	Stopped func()
	Logger  *slog.Logger
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

// Serve starts reading a UDP socket.
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

// Stop ends reading, waits until the handler has taken the datagrams that were read, and returns.
func (s *Server) Stop(context.Context) error {
	s.cancel()
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	s.serving.Wait()
	return s.conn.Close()
}

// read fills batches until the socket ends. A batch that is not full is handled as soon as the
// handler is idle.
func (s *Server) read() {
	defer close(s.full)
	scratch := &batch{data: make([]byte, 0, maxDatagram)}
	var b *batch
	for s.ctx.Err() == nil {
		if b == nil {
			select {
			case b = <-s.free:
				b.clear()
				s.notDropping()
			default:
				s.drop(scratch)
				continue
			}
		}
		s.fill(b)
		if b.isFull() || len(s.free) == batches-1 && len(b.datagrams) > 0 {
			s.full <- b
			b = nil
		}
	}
	if b != nil {
		s.full <- b
	}
}

func (b *batch) clear() { b.data, b.datagrams = b.data[:0], b.datagrams[:0] }

func (b *batch) isFull() bool {
	return len(b.datagrams) >= batchDatagrams || cap(b.data)-len(b.data) < maxDatagram
}

// fill reads into a batch: it waits for the first datagram, and then up to delay for others.
func (s *Server) fill(b *batch) {
	if len(b.datagrams) == 0 && !s.readOne(b, time.Time{}) {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(delay))
	for !b.isFull() && s.receive(b) {
	}
}

// readOne is receive with a deadline.
func (s *Server) readOne(b *batch, deadline time.Time) bool {
	_ = s.conn.SetReadDeadline(deadline)
	return s.receive(b)
}

// receive reads a datagram. It reports false if the deadline has passed or the server stops.
func (s *Server) receive(b *batch) bool {
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
		// The error is about another datagram, such as an ICMP message about one that was sent.
	}
	return false
}

// drop reads a datagram for which no batch is free.
func (s *Server) drop(scratch *batch) {
	scratch.clear()
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
	if s.deps.Stopped != nil {
		s.deps.Stopped()
	}
}
