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

// loops serve connections from one goroutine for each processor, which costs
// about a microsecond less for each request than a goroutine for each
// connection. They know only the requests of packets that nearly all emitters
// send; with the first that is unusual the connection gets a goroutine, for good.
type loops struct {
	each []*loop
	next int // belongs to the goroutine that accepts
}

// loop serves its share of the connections. All but what is said to be shared
// belongs to its goroutine.
type loop struct {
	handler *Handler
	server  *Server
	poller  *poller
	buffer  []byte // for a request
	text    []byte // of an answer
	scratch Response
	sockets []*socket // by descriptor
	now     time.Time // of the last look at the clock
	date    []byte    // the Date field's value for second
	second  int64     // Unix time

	boarding *flight   // gathers packets
	spare    []*flight // to be used again
	again    []*socket // that may have more to read than will be told
	before   []*socket // were again
	closing  bool      // no client is waited for
	ending   bool

	open    atomic.Int64 // sockets; shared
	stopped chan struct{}

	mu      sync.Mutex // guards notices, gone, and all above once it is gone
	notices []notice
	gone    bool        // it has ended
	woken   atomic.Bool // somebody will look at notices; shared
	taken   []notice    // from notices
}

// notice is what others tell a loop.
type notice interface{ arrive(l *loop) }

// newLoops returns none where there cannot be any, with a reason in the log.
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
		l.boarding = l.newFlight()
		all.each = append(all.each, l)
	}
	for _, l := range all.each {
		go l.run(logger)
	}
	return all
}

func (l *loop) run(logger *slog.Logger) {
	defer close(l.stopped)
	if err := l.poller.run(l.ready); err != nil {
		logger.Error("connections cannot be served any more", "error", err)
	}
	for _, s := range l.sockets {
		if s != nil {
			l.end(s)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	l.poller.close()
	for _, n := range l.notices {
		n.arrive(l)
	}
}

// ready serves the sockets that are.
func (l *loop) ready(events []unix.EpollEvent) (goOn bool) {
	l.tick()
	l.collect()
	l.again, l.before = l.before[:0], l.again
	for _, s := range l.before {
		l.serve(s)
	}
	for i := range events {
		s := l.socket(int(events[i].Fd))
		if s == nil {
			continue // a wake, or it was closed since
		}
		s.readable = true
		if events[i].Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			s.ended = true
		}
		l.serve(s)
	}
	l.depart()
	if len(l.again) > 0 { // their turn comes when others have had theirs
		l.poller.wake()
	}
	return !l.ending
}

// tick reads the clock.
func (l *loop) tick() {
	l.now = time.Now()
	if second := l.now.Unix(); second != l.second {
		l.date, l.second = appendDate(l.date[:0], l.now), second
	}
}

// manner is how answers are written now.
func (l *loop) manner(last bool) manner { return manner{date: l.date, last: last} }

func (l *loop) socket(descriptor int) *socket {
	if descriptor < len(l.sockets) {
		return l.sockets[descriptor]
	}
	return nil
}

// post tells the loop something. It may be called from anywhere. When the loop
// has ended there is nobody to answer any more, but what else a notice entails
// is done: packets that were stored are remembered, memory is given back.
func (l *loop) post(n notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		n.arrive(l)
		return
	}
	l.notices = append(l.notices, n)
	if !l.woken.Swap(true) {
		l.poller.wake()
	}
}

func (l *loop) collect() {
	if !l.woken.Swap(false) {
		return
	}
	l.mu.Lock()
	l.notices, l.taken = l.taken[:0], l.notices
	l.mu.Unlock()
	for _, p := range l.taken {
		p.arrive(l)
	}
	clear(l.taken)
}

// take makes a connection one of a loop's, and reports whether it could.
func (a *loops) take(conn net.Conn, client netip.Addr) bool {
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
	_ = conn.Close() // of which we have a copy that the runtime does not watch
	l := a.each[a.next%len(a.each)]
	a.next++
	l.open.Add(1)
	l.post(&socket{descriptor: copied, client: client})
	return true
}

// arrive is that of a new connection.
func (s *socket) arrive(l *loop) {
	s.by = l.patrol().in(l.patrol().timeouts.Read)
	for len(l.sockets) <= s.descriptor {
		l.sockets = append(l.sockets, nil)
	}
	l.sockets[s.descriptor] = s
	if err := l.poller.add(s.descriptor); err != nil {
		l.end(s)
	}
}

// forget leaves a socket's descriptor to the caller.
func (l *loop) forget(s *socket) {
	s.upload.drop()
	l.poller.remove(s.descriptor)
	l.sockets[s.descriptor] = nil
	s.state, s.readable = closed, false
}

// end closes a connection.
func (l *loop) end(s *socket) {
	if s.state == closed {
		return
	}
	l.forget(s)
	_ = unix.Close(s.descriptor)
	l.open.Add(-1)
	l.server.clients.give(s.client, 1)
}

// handOver gives a connection a goroutine.
func (l *loop) handOver(s *socket, c *connection) {
	l.forget(s)
	file := os.NewFile(uintptr(s.descriptor), "connection")
	conn, err := net.FileConn(file) // which makes a copy
	_ = file.Close()
	if err != nil {
		l.server.logger.Warn("a connection is ended, because it cannot be handed over", "error", err)
		if c.sent != nil {
			c.sent()
		}
		l.server.clients.give(s.client, 1)
	} else {
		c.Conn, c.client = conn, s.client
		l.server.handOver(c)
	}
	l.open.Add(-1)
}

func (l *loop) patrol() *patrol { return l.server.patrol }

// look has the waits ended that are too long by the patrol's clock.
func (a *loops) look(now int64) { a.tell(lookAt(now)) }

type lookAt int64

func (now lookAt) arrive(l *loop) {
	for _, s := range l.sockets {
		if s != nil && s.by != 0 && s.by < int64(now) {
			l.expire(s)
		}
	}
}

// left returns how many connections are open.
func (a *loops) left() int {
	left := 0
	for _, l := range a.each {
		left += int(l.open.Load())
	}
	return left
}

// endWaits ends all waits for clients, and has no other begin.
func (a *loops) endWaits() { a.tell(closing{}) }

type closing struct{}

func (closing) arrive(l *loop) {
	l.closing = true
	lookAt(math.MaxInt64).arrive(l)
}

// end stops the loops, and ends the connections that are open.
func (a *loops) end() {
	a.tell(stop{})
	for _, l := range a.each {
		<-l.stopped
	}
}

type stop struct{}

func (stop) arrive(l *loop) { l.ending = true }

func (a *loops) tell(n notice) {
	for _, l := range a.each {
		l.post(n)
	}
}
