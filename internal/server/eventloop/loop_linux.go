//go:build !noeventloop

package eventloop

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// Loop serves its share of the connections. Fields belong to the loop's goroutine
// unless they are marked as shared. Methods are for that goroutine, Post aside.
type Loop struct {
	deps    Dependencies
	handler Handler
	poller  *poller
	buffer  []byte // of reads before the destination is known
	head    http1.Head
	text    []byte  // buffer of a response
	conns   []*Conn // by descriptor
	now     time.Time
	date    []byte // the Date field's value for second
	second  int64  // Unix time
	swept   int64  // the time of the last sweep

	ready     []*Conn // connections with unread input that epoll has reported already
	previous  []*Conn // ready of the round before
	draining  bool    // responses close their connections
	releasing bool    // connections fall back once no request is under way
	failing   bool    // reads fail at once
	stopping  bool

	open    atomic.Int64 // connections; shared
	stopped chan struct{}

	mu       sync.Mutex // guards events and closed, and all above once closed is set
	events   []Event
	closed   bool        // the goroutine has ended
	woken    atomic.Bool // the loop will collect events; shared
	received []Event     // collected events
}

func newLoop(deps Dependencies, p *poller) *Loop {
	l := &Loop{deps: deps, poller: p, buffer: make([]byte, buffersPerHead*deps.MaxHead), stopped: make(chan struct{})}
	l.handler = deps.NewHandler(l)
	return l
}

func (l *Loop) run() {
	defer close(l.stopped)
	if err := l.poller.run(l.round); err != nil {
		l.deps.Logger.Error("connections cannot be served any more", "error", err)
	}
	for _, c := range l.conns {
		if c != nil {
			l.close(c)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.poller.close()
	for _, e := range l.events {
		e.Handle(l)
	}
}

// round serves the ready connections, and reports whether the loop continues.
func (l *Loop) round(events []unix.EpollEvent) (goOn bool) {
	l.Tick()
	l.collect()
	l.ready, l.previous = l.previous[:0], l.ready
	for _, c := range l.previous {
		l.serve(c)
	}
	for i := range events {
		c := l.conn(int(events[i].Fd))
		if c == nil {
			continue // a wake-up, or closed since
		}
		c.readable = true
		if events[i].Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.ended = true
		}
		l.serve(c)
	}
	l.handler.Flush()
	if len(l.ready) > 0 { // after the connections that epoll reports now
		l.poller.wake()
	}
	return !l.stopping
}

// Tick reads the clock. Each round begins with it; a Handler calls it after work that
// may take long.
func (l *Loop) Tick() {
	l.now = time.Now()
	if second := l.now.Unix(); second != l.second {
		l.date, l.second = http1.AppendDate(l.date[:0], l.now), second
	}
}

// Now returns the time of the last Tick.
func (l *Loop) Now() time.Time { return l.now }

// framing returns how responses of this round are written.
func (l *Loop) framing(last bool) http1.Framing { return http1.Framing{Date: l.date, Close: last} }

func (l *Loop) conn(descriptor int) *Conn {
	if descriptor < len(l.conns) {
		return l.conns[descriptor]
	}
	return nil
}

// Post makes the loop handle an event. It may be called concurrently. After the loop
// has ended Post handles the event itself, and responses go nowhere.
func (l *Loop) Post(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		e.Handle(l)
		return
	}
	l.events = append(l.events, e)
	if !l.woken.Swap(true) {
		l.poller.wake()
	}
}

func (l *Loop) collect() {
	if !l.woken.Swap(false) {
		return
	}
	l.mu.Lock()
	l.events, l.received = l.received[:0], l.events
	l.mu.Unlock()
	for _, e := range l.received {
		e.Handle(l)
	}
	clear(l.received)
}

// deadline returns the deadline that is a timeout from now.
func (l *Loop) deadline(timeout time.Duration) int64 { return l.swept + int64(timeout) }

// expire fails the reads whose deadline has passed.
func (l *Loop) expire(now int64) {
	for _, c := range l.conns {
		if c == nil || c.deadline == 0 || c.deadline >= now {
			continue
		}
		if c.state == reading {
			c.stream.Abort(os.ErrDeadlineExceeded)
		} else {
			l.close(c)
		}
	}
}

// detach removes a connection. Its descriptor belongs to the caller then.
func (l *Loop) detach(c *Conn) {
	c.stream.Drop()
	l.poller.remove(c.descriptor)
	l.conns[c.descriptor] = nil
	c.state, c.readable = closed, false
}

// close closes a connection.
func (l *Loop) close(c *Conn) {
	if c.state == closed {
		return
	}
	l.detach(c)
	_ = unix.Close(c.descriptor)
	l.open.Add(-1)
	l.deps.Closed(c.client)
}

// fallBack moves a connection to a goroutine.
func (l *Loop) fallBack(c *Conn, f Fallback) {
	l.detach(c)
	file := os.NewFile(uintptr(c.descriptor), "connection")
	conn, err := net.FileConn(file) // duplicates the descriptor
	_ = file.Close()
	if err != nil {
		l.deps.Logger.Warn("a connection is closed, since it cannot be moved to a goroutine", "error", err)
		if f.Sent != nil {
			f.Sent()
		}
		l.deps.Closed(c.client)
	} else {
		f.Conn, f.Client = conn, c.client
		l.deps.FallBack(&f)
	}
	l.open.Add(-1)
}
