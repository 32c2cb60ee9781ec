package ingest

import (
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loops are event loops, one for each processor. They save about a microsecond a
// request against a goroutine a connection. They serve fast-path requests only, see
// isFastPath: with any other request a connection falls back to a goroutine, for
// good.
type loops struct {
	each []*loop
	next int // used by the accepting goroutine only
}

// loop serves its share of the connections. Fields belong to the loop's goroutine
// unless they are marked as shared.
type loop struct {
	handler *Handler
	server  *Server
	poller  *poller
	buffer  []byte // of reads before the destination is known
	text    []byte // buffer of an answer
	scratch Response
	sockets []*socket // by descriptor
	now     time.Time // as of the last tick
	date    []byte    // the Date field's value for second
	second  int64     // Unix time

	pending  *batch    // packets of this round
	spare    []*batch  // free list
	ready    []*socket // sockets with unread input that epoll has reported already
	previous []*socket // ready of the round before
	failing  bool      // reads fail at once
	stopping bool

	open    atomic.Int64 // sockets; shared
	stopped chan struct{}

	mu       sync.Mutex // guards events and closed, and all above once closed is set
	events   []event
	closed   bool        // the goroutine has ended
	woken    atomic.Bool // the loop will collect events; shared
	received []event     // collected events
}

// event is work for a loop's goroutine.
type event interface{ handle(l *loop) }

// newLoops returns no loops if epoll is not available, and logs the reason.
func newLoops(h *Handler, s *Server, logger *slog.Logger) *loops {
	all := new(loops)
	for range runtime.GOMAXPROCS(0) {
		p, err := newPoller()
		if err != nil {
			logger.Warn("connections are served by a goroutine each, which takes more processor time", "error", err)
			for _, l := range all.each {
				l.poller.close()
			}
			return new(loops)
		}
		l := &loop{handler: h, server: s, poller: p, buffer: make([]byte, firstRead), stopped: make(chan struct{})}
		l.pending = l.newBatch()
		all.each = append(all.each, l)
	}
	for _, l := range all.each {
		go l.run(logger)
	}
	return all
}

func (l *loop) run(logger *slog.Logger) {
	defer close(l.stopped)
	if err := l.poller.run(l.round); err != nil {
		logger.Error("connections cannot be served any more", "error", err)
	}
	for _, s := range l.sockets {
		if s != nil {
			l.close(s)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.poller.close()
	for _, e := range l.events {
		e.handle(l)
	}
}

// round serves the ready sockets, and reports whether the loop goes on.
func (l *loop) round(events []unix.EpollEvent) (goOn bool) {
	l.tick()
	l.collect()
	l.ready, l.previous = l.previous[:0], l.ready
	for _, s := range l.previous {
		l.serve(s)
	}
	for i := range events {
		s := l.socket(int(events[i].Fd))
		if s == nil {
			continue // a wake-up, or closed since
		}
		s.readable = true
		if events[i].Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			s.ended = true
		}
		l.serve(s)
	}
	l.flush()
	if len(l.ready) > 0 { // after the sockets that epoll reports now
		l.poller.wake()
	}
	return !l.stopping
}

// tick reads the clock.
func (l *loop) tick() {
	l.now = time.Now()
	if second := l.now.Unix(); second != l.second {
		l.date, l.second = appendDate(l.date[:0], l.now), second
	}
}

// manner returns how answers are written in this round.
func (l *loop) manner(last bool) manner { return manner{date: l.date, last: last} }

func (l *loop) socket(descriptor int) *socket {
	if descriptor < len(l.sockets) {
		return l.sockets[descriptor]
	}
	return nil
}

// post makes the loop handle an event. It may be called concurrently. After the loop
// has ended post handles the event itself: stored packets are recorded and memory is
// released, but nothing is answered.
func (l *loop) post(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		e.handle(l)
		return
	}
	l.events = append(l.events, e)
	if !l.woken.Swap(true) {
		l.poller.wake()
	}
}

func (l *loop) collect() {
	if !l.woken.Swap(false) {
		return
	}
	l.mu.Lock()
	l.events, l.received = l.received[:0], l.events
	l.mu.Unlock()
	for _, e := range l.received {
		e.handle(l)
	}
	clear(l.received)
}

// add moves a connection to a loop, and reports whether that was possible.
func (a *loops) add(conn net.Conn, client netip.Addr) bool {
	if len(a.each) == 0 {
		return false
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	copied := -1
	err = control.Control(func(descriptor uintptr) {
		copied, _ = unix.FcntlInt(descriptor, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || copied < 0 {
		return false
	}
	_ = conn.Close() // the copy is not registered with the runtime's poller
	l := a.each[a.next%len(a.each)]
	a.next++
	l.open.Add(1)
	l.post(&socket{descriptor: copied, client: client})
	return true
}

// handle registers a new connection.
func (s *socket) handle(l *loop) {
	s.deadline = l.sweeper().after(l.sweeper().timeouts.Read)
	for len(l.sockets) <= s.descriptor {
		l.sockets = append(l.sockets, nil)
	}
	l.sockets[s.descriptor] = s
	if err := l.poller.add(s.descriptor); err != nil {
		l.close(s)
	}
}

// detach removes a socket. The descriptor belongs to the caller then.
func (l *loop) detach(s *socket) {
	s.upload.drop()
	l.poller.remove(s.descriptor)
	l.sockets[s.descriptor] = nil
	s.state, s.readable = closed, false
}

// close closes a connection.
func (l *loop) close(s *socket) {
	if s.state == closed {
		return
	}
	l.detach(s)
	_ = unix.Close(s.descriptor)
	l.open.Add(-1)
	l.server.clients.give(s.client, 1)
}

// fallBack moves a connection to a goroutine.
func (l *loop) fallBack(s *socket, c *connection) {
	l.detach(s)
	file := os.NewFile(uintptr(s.descriptor), "connection")
	conn, err := net.FileConn(file) // duplicates the descriptor
	_ = file.Close()
	if err != nil {
		l.server.logger.Warn("a connection is closed, since it cannot be moved to a goroutine", "error", err)
		if c.sent != nil {
			c.sent()
		}
		l.server.clients.give(s.client, 1)
	} else {
		c.Conn, c.client = conn, s.client
		l.server.serveConnection(c)
	}
	l.open.Add(-1)
}

func (l *loop) sweeper() *deadlineSweeper { return l.server.sweeper }

// sweep enforces deadlines, by the deadlineSweeper's time.
func (a *loops) sweep(now int64) { a.post(sweep(now)) }

type sweep int64

func (now sweep) handle(l *loop) {
	for _, s := range l.sockets {
		if s != nil && s.deadline != 0 && s.deadline < int64(now) {
			l.expire(s)
		}
	}
}

// count returns the number of open connections.
func (a *loops) count() int {
	count := 0
	for _, l := range a.each {
		count += int(l.open.Load())
	}
	return count
}

// failReads fails all pending and future reads.
func (a *loops) failReads() { a.post(failReads{}) }

type failReads struct{}

func (failReads) handle(l *loop) {
	l.failing = true
	sweep(math.MaxInt64).handle(l)
}

// close stops the loops, and closes the open connections.
func (a *loops) close() {
	a.post(stop{})
	for _, l := range a.each {
		<-l.stopped
	}
}

type stop struct{}

func (stop) handle(l *loop) { l.stopping = true }

func (a *loops) post(e event) {
	for _, l := range a.each {
		l.post(e)
	}
}
